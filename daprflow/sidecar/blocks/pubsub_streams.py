"""Subscriptions whose events go out on streams, each as long as its client holds it open."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from daprflow.protocol import faults
from daprflow.protocol.documents import Subscription
from daprflow.sidecar.app.postman import Postman
from daprflow.sidecar.blocks.pubsub_door import Door
from daprflow.sidecar.blocks.pubsub_guarded import GuardedSubscription
from daprflow.sidecar.blocks.pubsub_routes import CompiledRule, RouteTable
from daprflow.sidecar.blocks.pubsub_subscription import Place, Stop, TopicSubscription
from daprflow.sidecar.blocks.pubsub_wanted import Origin, Wanted, raw_of
from daprflow.sidecar.clock import sleep_until
from daprflow.sidecar.components.base import ComponentError

if TYPE_CHECKING:
    from daprflow.sidecar.blocks.pubsub import PubSubBlock
    from daprflow.sidecar.runtime import Runtime

logger = logging.getLogger(__name__)

CONCURRENCY: Final = 64
"""Events of one stream that may wait for their verdicts; with the real runtime only its brokers
have a limit."""

DRAIN: Final = 5.0
"""Seconds that a client has for the verdicts it owes when files of the sidecar are changed."""

PATH: Final = "/"
_ROUTES: Final = RouteTable((CompiledRule(PATH, None),), PATH)


class Outlet(Postman, Protocol):
    """The client's end of a subscription."""

    def give_back(self) -> None:
        """Give what waits for a verdict back to the broker, and take nothing more."""
        ...

    def end(self) -> None:
        """Give back what waits, and end the stream."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class OpenStream:
    """A subscription that runs, the door it came in by, and its client."""

    wanted: Wanted
    door: Door
    deliveries: TopicSubscription
    stop: Stop
    outlet: Outlet


class StreamSubscriptions:
    """The streams of one app; several may be for one topic.

    They need no app to call, and its health is nothing to them. They end with their clients, with
    the sidecar, and, as in the real runtime, when their component or a policy is another one:
    their clients are expected to open them anew.
    """

    def __init__(self, runtime: "Runtime", block: "PubSubBlock") -> None:
        self._block = block
        self._app_id = runtime.app_id
        self._clock = runtime.engine.clock
        self._work = runtime.engine.work
        self._resiliency = runtime.resiliency
        self._open: dict[OpenStream, None] = {}
        self._ending: dict[OpenStream, asyncio.Task[None]] = {}
        self._beginning: set[asyncio.Task[OpenStream]] = set()
        self._closed = False

    @property
    def wanted(self) -> tuple[Wanted, ...]:
        """What the open streams subscribe to."""
        return tuple(one.wanted for one in self._open)

    async def open(self, document: Subscription, outlet: Outlet) -> OpenStream:
        """Start a subscription; end it with `leave`.

        Raises:
            Fault: the component is not loaded, the topic is not this app's, or the sidecar ends.
        """
        door = self._door(document.pubsubname, document.topic)
        task = asyncio.get_running_loop().create_task(self._begin(document, door, outlet))
        self._beginning.add(task)
        task.add_done_callback(self._beginning.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(self._abandon)
            raise

    async def leave(self, stream: OpenStream) -> None:
        """End the subscription of a client that is gone; what it had goes back to the broker."""
        task = self._give_up(stream)
        if task is not None:
            await asyncio.shield(task)

    async def move(self) -> None:
        """End the streams whose component is not loaded any more, or is another one."""
        await self._end_within([one for one in self._open if not self._stays(one)])

    async def restart(self) -> None:
        """End every stream; those that come again are under the policies as they are now."""
        await self._end_within(list(self._open))

    async def close(self) -> None:
        """End every stream, once its client has given the verdicts it owes; take no more."""
        self._closed = True
        for stream in tuple(self._open):
            self._end(stream)
        await asyncio.gather(*self._beginning, return_exceptions=True)  # which end themselves
        await asyncio.gather(*self._ending.values())

    def cut(self) -> None:
        """Wait for no more verdicts of the streams that are being ended."""
        for stream in tuple(self._ending):
            stream.outlet.give_back()

    # ---- beginning ------------------------------------------------------------------------------

    def _door(self, pubsub: str, topic: str) -> Door:
        if self._closed:
            raise faults.pubsub_metadata("", {}, "subscriber is closed")
        door = self._block.door(pubsub)
        if door is None:
            raise faults.pubsub_not_found(pubsub)
        if not door.scopes.may_subscribe(topic):
            reason = f"subscription to topic '{topic}' on pubsub '{pubsub}' is not allowed"
            raise faults.pubsub_stream(pubsub, reason)
        return door

    async def _begin(self, document: Subscription, door: Door, outlet: Outlet) -> OpenStream:
        deliveries = self._deliveries(document, door, outlet)
        try:
            stop = await door.component.subscribe(
                document.topic,
                door.consumer,
                document.metadata,
                deliveries.receive,
                concurrency=CONCURRENCY,
                member=self._block.member,
            )
        except ComponentError as error:
            reason = f"failed to subscribe to topic {document.topic}: {error}"
            raise faults.pubsub_stream(document.pubsubname, reason) from error
        stream = OpenStream(Wanted(document, Origin.STREAMING), door, deliveries, stop, outlet)
        self._open[stream] = None
        if self._closed or not self._stays(stream):  # all this took a while
            self._end(stream)
        return stream

    def _deliveries(self, document: Subscription, door: Door, outlet: Outlet) -> TopicSubscription:
        raw, problem = raw_of(document)
        place = Place(
            pubsub=document.pubsubname,
            topic=document.topic,
            app_id=self._app_id,
            component=door.component,
            postman=outlet,
            clock=self._clock,
            work=self._work,
            routes=_ROUTES,
            dead_letter=document.dead_letter_topic,
            raw=raw,
            problem=problem,
            observer=self._block.observer,
            elsewhere=self._block.elsewhere,
        )
        policy = self._resiliency.inbound(place.pubsub, "pubsub")
        return TopicSubscription(place) if policy is None else GuardedSubscription(place, policy)

    def _abandon(self, begun: "asyncio.Task[OpenStream]") -> None:
        """End a subscription whose client did not wait for it."""
        if not begun.cancelled() and begun.exception() is None:
            self._give_up(begun.result())

    # ---- ending ---------------------------------------------------------------------------------

    def _give_up(self, stream: OpenStream) -> "asyncio.Task[None] | None":
        """End a stream whose client is gone, after the broker was told to hand nothing over."""
        task = self._end(stream)
        asyncio.get_running_loop().call_soon(stream.outlet.give_back)
        return task

    def _stays(self, stream: OpenStream) -> bool:
        return self._block.door(stream.wanted.document.pubsubname) == stream.door

    async def _end_within(self, streams: Sequence[OpenStream]) -> None:
        """End ``streams``; the verdicts that they owe may take a while, but not long."""
        if not streams:
            return
        tasks = [task for stream in streams if (task := self._end(stream)) is not None]
        ended = asyncio.gather(*tasks)
        limit = asyncio.ensure_future(sleep_until(self._clock, self._clock.now() + DRAIN))
        waiting: set[asyncio.Future[Any]] = {ended, limit}
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            limit.cancel()
            for stream in streams:
                stream.outlet.give_back()
        await ended

    def _end(self, stream: OpenStream) -> "asyncio.Task[None] | None":
        """Begin to end a stream; return what does it, None where it has ended."""
        if stream in self._open:
            del self._open[stream]
            stream.deliveries.stop()
            task = asyncio.get_running_loop().create_task(self._finish(stream))
            self._ending[stream] = task
        return self._ending.get(stream)

    async def _finish(self, stream: OpenStream) -> None:
        try:
            await stream.stop()
        except Exception:
            logger.exception("the subscription of a stream did not end as it should")
        finally:
            stream.outlet.end()
            self._ending.pop(stream, None)
