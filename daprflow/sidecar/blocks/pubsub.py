"""Publish and subscribe for one app: the doors to its brokers."""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from daprflow.protocol import faults
from daprflow.protocol.documents import Subscription
from daprflow.protocol.expressions import ExpressionError
from daprflow.protocol.fault import FailedEntry
from daprflow.protocol.gojson import GoJsonError
from daprflow.sidecar.app.base import App
from daprflow.sidecar.blocks.pubsub_bulk import DEFAULT_COUNT, DEFAULT_WAIT, BulkSubscription
from daprflow.sidecar.blocks.pubsub_door import Door
from daprflow.sidecar.blocks.pubsub_guarded import GuardedBulk, GuardedSubscription
from daprflow.sidecar.blocks.pubsub_produced import Produced
from daprflow.sidecar.blocks.pubsub_publish import (
    NO_CONTEXT,
    BadEntryError,
    BadEventError,
    BadMetadataError,
    NewEntry,
    Publisher,
    Trace,
    checked,
    is_raw,
    merged,
    traced,
)
from daprflow.sidecar.blocks.pubsub_routes import RouteTable, compile_routes
from daprflow.sidecar.blocks.pubsub_scopes import read_scopes
from daprflow.sidecar.blocks.pubsub_streams import StreamSubscriptions
from daprflow.sidecar.blocks.pubsub_subscription import Observer, Place, Stop, TopicSubscription
from daprflow.sidecar.blocks.pubsub_wanted import Wanted, raw_of
from daprflow.sidecar.components.base import ComponentError, Message, PubSub
from daprflow.sidecar.components.pubsub_namespaced import NamespacedPubSub, is_namespaced
from daprflow.sidecar.resiliency.policy import Policy

if TYPE_CHECKING:
    from daprflow.sidecar.loading import LoadedComponent
    from daprflow.sidecar.runtime import Runtime

logger = logging.getLogger(__name__)

CONCURRENCY = 32
"""Deliveries of one subscription at one time, where its broker delivers concurrently."""


class SubscriptionsRefused(Exception):  # noqa: N818 - named for what happened
    """The app's subscriptions cannot be started; none was, as with the real runtime."""


@dataclass(frozen=True, slots=True)
class Active:
    """A running subscription, the door it came in by and what ends it."""

    wanted: Wanted
    door: Door
    deliveries: TopicSubscription
    stop: Stop


class PubSubBlock:
    """Publishes for one app and runs its subscriptions.

    Attributes:
        observer: sees every accepted message and every delivery; set it before `start`.
        streams: the subscriptions whose events go out on streams.
        member: which replica of the app this is.
        elsewhere: tells whether another one takes calls.
    """

    def __init__(self, runtime: "Runtime") -> None:
        self.observer: Observer | None = None
        self.member = runtime.replica
        self.elsewhere = runtime.others_take_calls
        self._app_id = runtime.app_id
        self._namespace = runtime.options.namespace
        self._clock = runtime.engine.clock
        self._work = runtime.engine.work
        self._resiliency = runtime.resiliency
        self._publisher = Publisher(runtime.app_id, self._clock)
        self._active: list[Active] = []
        self._doors: dict[str, Door] = {}
        self._tracer = runtime.telemetry.tracer
        self._timed = runtime.telemetry.timed("egress", self._doors.__contains__)
        self._timed_bulk = runtime.telemetry.timed("bulk_egress", self._doors.__contains__)
        self.streams = StreamSubscriptions(runtime, self)
        for loaded in runtime.components:
            if loaded.kind == "pubsub":
                self.admit(loaded)

    def admit(self, loaded: "LoadedComponent") -> None:
        """Open the door to one component; subscriptions that wait for it begin at `start`."""
        self._doors[loaded.resource.name] = Door(
            self._component(loaded),
            read_scopes(loaded.context.metadata, self._app_id),
            loaded.context.metadata.get("consumerid") or self._app_id,
        )

    def _component(self, loaded: "LoadedComponent") -> PubSub:
        component = cast("PubSub", loaded.instance)
        if is_namespaced(loaded.resource):
            return cast("PubSub", NamespacedPubSub(component, self._namespace))
        return component

    def readmit(self, components: Sequence["LoadedComponent"]) -> None:
        """Leave open the doors to ``components`` alone; `start` moves the subscriptions there."""
        self._doors.clear()
        for loaded in components:
            self.admit(loaded)

    @property
    def subscriptions(self) -> tuple[Wanted, ...]:
        """The subscriptions that run now."""
        return (*(active.wanted for active in self._active), *self.streams.wanted)

    def door(self, pubsub: str) -> Door | None:
        """Return the door to a component, None where it is not loaded."""
        return self._doors.get(pubsub)

    # ---- publishing -----------------------------------------------------------------------------

    async def publish(
        self,
        pubsub: str,
        topic: str,
        body: bytes,
        content_type: str,
        metadata: Mapping[str, str],
        *,
        traceparent: str = "",
        tracestate: str = "",
        traces_raw: bool = False,
    ) -> None:
        """Publish one message; returns when the broker has accepted it.

        Args:
            pubsub: name of the component.
            topic: may hold slashes.
            body: the payload as it came.
            content_type: as it came; empty where none was given.
            metadata: the request's ``metadata.*``, names as given.
            traceparent: the caller's, written into the event.
            tracestate: likewise.
            traces_raw: whether raw payloads carry the trace context in their metadata; the real
                runtime does that over gRPC alone.

        Raises:
            Fault: Dapr's error for whatever is wrong.
        """
        door = self._door(pubsub, topic, metadata)
        trace = Trace(traceparent, tracestate) if traceparent else NO_CONTEXT
        keeps_ttl = door.component.keeps_ttl
        try:
            raw = bool(metadata) and is_raw(metadata)
            if raw and traces_raw:
                metadata = traced(metadata, trace)
            message = self._publisher.message(
                pubsub,
                topic,
                body,
                content_type,
                metadata,
                trace=trace,
                keeps_ttl=keeps_ttl,
                raw=raw,
            )
        except BadMetadataError as error:
            raise faults.pubsub_metadata(pubsub, metadata, str(error)) from error
        except GoJsonError as error:
            raise faults.pubsub_cloud_event(pubsub, self._app_id, str(error)) from error
        self._permit(pubsub, door, topic)
        try:
            with self._timed(pubsub, topic):
                await door.component.publish(message)
        except ComponentError as error:
            raise faults.pubsub_publish(pubsub, topic, str(error)) from error
        if self.observer is not None:
            self.observer.published(pubsub, message)

    async def publish_many(
        self,
        pubsub: str,
        topic: str,
        entries: Iterable[NewEntry],
        metadata: Mapping[str, str],
        *,
        traceparent: str = "",
        tracestate: str = "",
        api: str = "",
    ) -> list[FailedEntry]:
        """Publish several messages, in order; ``api`` is what was called, as spans name it.

        Returns:
            the entries that the broker did not accept.

        Raises:
            Fault: nothing was published: unknown component, forbidden topic, an entry that makes
                no sense.
        """
        door = self._door(pubsub, topic, metadata)
        trace = Trace(traceparent, tracestate) if traceparent else NO_CONTEXT
        produced = Produced(self._tracer, api, trace)
        keeps_ttl = door.component.keeps_ttl
        messages: list[tuple[str, Message]] = []
        try:
            raw = is_raw(metadata)
            for entry in checked(entries):
                settings = merged(metadata, entry.metadata)
                message = self._publisher.message(
                    pubsub,
                    topic,
                    entry.body,
                    entry.content_type,
                    settings,
                    trace=trace if raw else produced.next(),
                    keeps_ttl=keeps_ttl,
                    raw=raw,
                )
                messages.append((entry.id, message))
        except BadMetadataError as error:
            raise faults.pubsub_metadata(pubsub, metadata, str(error)) from error
        except BadEventError as error:
            raise faults.pubsub_envelope(pubsub, topic, self._app_id, str(error)) from error
        except BadEntryError as error:
            raise faults.pubsub_marshal(pubsub, topic, self._app_id, str(error)) from error
        except GoJsonError as error:
            raise faults.pubsub_cloud_event(pubsub, self._app_id, str(error)) from error
        self._permit(pubsub, door, topic)
        try:
            with self._timed_bulk(pubsub, topic):
                return await self._publish_each(pubsub, door, messages)
        finally:
            produced.end()

    async def forward(self, pubsub: str, message: Message) -> None:
        """Publish a message that is an event already, for another block.

        Raises:
            ComponentError: the broker is not loaded or refused, or the topic is not this app's.
        """
        door = self._doors.get(pubsub)
        if door is None:
            raise ComponentError(f"pubsub '{pubsub}' not found")
        if not door.scopes.may_publish(message.topic):
            raise ComponentError(f"topic {message.topic} is not allowed for app id {self._app_id}")
        await door.component.publish(message)
        if self.observer is not None:
            self.observer.published(pubsub, message)

    async def _publish_each(
        self, pubsub: str, door: Door, messages: list[tuple[str, Message]]
    ) -> list[FailedEntry]:
        """Publish at one time, so that a durable broker needs one commit for all."""
        outcomes = await asyncio.gather(
            *(door.component.publish(message) for _, message in messages), return_exceptions=True
        )
        failed: list[FailedEntry] = []
        for (entry_id, message), outcome in zip(messages, outcomes, strict=True):
            if isinstance(outcome, ComponentError):
                failed.append(FailedEntry(entry_id, str(outcome)))
            elif outcome is not None:
                raise outcome
            elif self.observer is not None:
                self.observer.published(pubsub, message)
        return failed

    def _door(self, pubsub: str, topic: str, metadata: Mapping[str, str]) -> Door:
        if not pubsub:
            raise faults.pubsub_name_empty(metadata)
        door = self._doors.get(pubsub)
        if door is None:
            raise faults.pubsub_not_found(pubsub)
        if not topic:
            raise faults.pubsub_topic_empty(pubsub, metadata)
        return door

    def _permit(self, pubsub: str, door: Door, topic: str) -> None:
        """Refuse topics that are not this app's; looked at last, as in the real runtime."""
        if not door.scopes.may_publish(topic):
            raise faults.pubsub_forbidden(pubsub, topic, self._app_id)

    # ---- subscribing ----------------------------------------------------------------------------

    async def start(self, wanted: Sequence[Wanted], app: App) -> None:
        """Start what is ``wanted`` and does not run yet; stop what runs and no longer is.

        Raises:
            SubscriptionsRefused: a rule is not CEL; nothing was started, and nothing stopped.
        """
        verbatim = app.http is None
        tables = [(item, _compiled(item.document, verbatim=verbatim)) for item in wanted]
        await self._end([one for one in self._active if not self._stays(one, wanted)])
        running = {one.wanted.place for one in self._active}
        for item, routes in tables:
            door = None if item.place in running else self._usable(item.document, routes)
            if door is not None:
                await self._subscribe(item, routes, door, app)
        for pubsub, door in self._doors.items():
            topics = {topic for name, topic in (item.place for item in wanted) if name == pubsub}
            door.component.subscribed(door.consumer, topics)

    async def stop(self) -> None:
        """Stop every subscription and wait for what is in flight; what waits stays queued."""
        await self._end(self._active)

    async def _end(self, ending: Sequence[Active]) -> None:
        self._active = [one for one in self._active if one not in ending]
        for one in ending:
            one.deliveries.stop()
        await asyncio.gather(*(one.stop() for one in ending))

    def _stays(self, one: Active, wanted: Sequence[Wanted]) -> bool:
        return one.wanted in wanted and self._doors.get(one.wanted.document.pubsubname) == one.door

    def _usable(self, document: Subscription, routes: RouteTable) -> Door | None:
        place = f"'{document.pubsubname}/{document.topic}'"
        if not routes.rules:
            logger.warning("subscription %s has no route and is left out; give it one", place)
            return None
        door = self._doors.get(document.pubsubname)
        if door is None:
            known = ", ".join(f"'{name}'" for name in self._doors) or "none"
            logger.warning(
                "subscription %s waits: no pub/sub component '%s' is loaded (loaded: %s)",
                place,
                document.pubsubname,
                known,
            )
            return None
        if not door.scopes.may_subscribe(document.topic):
            logger.error(
                "subscription %s is refused: the component's scopes keep app '%s' from this topic",
                place,
                self._app_id,
            )
            return None
        return door

    async def _subscribe(self, wanted: Wanted, routes: RouteTable, door: Door, app: App) -> None:
        document = wanted.document
        raw, problem = raw_of(document)
        place = Place(
            pubsub=document.pubsubname,
            topic=document.topic,
            app_id=self._app_id,
            component=door.component,
            postman=app.postman(document.pubsubname, document.topic, raw=raw),
            clock=self._clock,
            work=self._work,
            routes=routes,
            dead_letter=document.dead_letter_topic,
            raw=raw,
            problem=problem,
            observer=self.observer,
            elsewhere=self.elsewhere,
        )
        policy = self._resiliency.inbound(place.pubsub, "pubsub")
        deliveries, concurrency = _deliveries(document, place, policy)
        try:
            stop = await door.component.subscribe(
                document.topic,
                door.consumer,
                document.metadata,
                deliveries.receive,
                concurrency=concurrency,
                held_up=deliveries.hurry if isinstance(deliveries, BulkSubscription) else None,
                member=self.member,
            )
        except ComponentError as error:
            logger.error("subscription '%s/%s' failed: %s", place.pubsub, place.topic, error)  # noqa: TRY400 - the text says all
            return
        self._active.append(Active(wanted, door, deliveries, stop))


def _compiled(document: Subscription, *, verbatim: bool) -> RouteTable:
    try:
        return compile_routes(document, verbatim=verbatim)
    except ExpressionError as error:
        raise SubscriptionsRefused(
            f"no subscription was started: {error}, in the rules of "
            f"'{document.pubsubname}/{document.topic}'"
        ) from error


def _deliveries(
    document: Subscription, place: Place, policy: Policy | None
) -> tuple[TopicSubscription, int]:
    bulk = document.bulk_subscribe
    if bulk is None or not bulk.enabled:
        if policy is not None:
            return GuardedSubscription(place, policy), CONCURRENCY
        return TopicSubscription(place), CONCURRENCY
    count = bulk.max_messages_count or DEFAULT_COUNT
    milliseconds = bulk.max_await_duration_ms
    wait = milliseconds / 1000 if milliseconds else DEFAULT_WAIT
    count, wait, concurrency = max(1, count), max(0.0, wait), max(CONCURRENCY, 2 * count)
    if policy is not None:
        return GuardedBulk(place, count, wait, policy), concurrency
    return BulkSubscription(place, count, wait), concurrency
