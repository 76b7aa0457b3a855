"""One subscription: takes messages off the broker, delivers them and settles what came of it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from daprflow.protocol.deliveries import Status
from daprflow.protocol.envelopes import Head, synthesise
from daprflow.protocol.expressions import ExpressionError, with_floats
from daprflow.sidecar.app.postman import Postman, Reading, Verdict
from daprflow.sidecar.blocks.pubsub_delivery import is_expired, trace_of
from daprflow.sidecar.blocks.pubsub_routes import RouteTable
from daprflow.sidecar.channel.base import AppAway, AppUnreachable
from daprflow.sidecar.clock import Clock
from daprflow.sidecar.components.base import ComponentError, Message, Nack, PubSub, Undelivered
from daprflow.sidecar.engine import Work
from daprflow.sidecar.identifiers import new_id

logger = logging.getLogger(__name__)

DEAD_LETTER_BUDGET = 30.0
"""Seconds that publishing to a dead letter topic may take."""

_head = msgspec.json.Decoder(Head)
_event = msgspec.json.Decoder(dict[str, Any])


class Observer(Protocol):
    """Sees what passes through pub/sub; for tests."""

    def published(self, pubsub: str, message: Message, /) -> None:
        """Note that a broker accepted ``message``."""
        ...

    def delivered(self, pubsub: str, message: Message, verdict: Verdict, /) -> None:
        """Note one attempt to deliver ``message``."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """What a subscription is about and what it works with.

    Attributes:
        app_id: whose subscription it is; several apps may share a host and its log.
        postman: delivers what is received.
        dead_letter: the topic on the same component for what cannot be delivered; may be empty.
        raw: whether messages are taken as plain bytes, not as CloudEvents.
        problem: why no message can be taken; empty where they can.
        elsewhere: tells whether another replica of the app can take what this one cannot.
    """

    pubsub: str
    topic: str
    app_id: str
    component: PubSub
    postman: Postman
    clock: Clock
    work: Work
    routes: RouteTable
    dead_letter: str = ""
    raw: bool = False
    problem: str = ""
    observer: Observer | None = None
    elsewhere: Callable[[], bool] = lambda: False


class Unreadable(Exception):  # noqa: N818 - named for the state of the message
    """A message is no CloudEvent, or a rule fails on it."""


class TopicSubscription:
    """Delivers events one by one; how many at one time is the broker's choice."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.dead_letter_after = place.component.dead_letter_after
        self.postman = place.postman
        self._only = place.routes.only
        self.stopping = False

    def receive(self, message: Message, /) -> Awaitable[None]:
        """Take one message; see `daprflow.sidecar.components.base.Receive`."""
        self.place.work.begin()
        return self._handle(message)

    def stop(self) -> None:
        """Take failures from now on for the stop's fault, not the app's."""
        self.stopping = True

    async def _handle(self, message: Message) -> None:
        try:
            prepared = self.prepare(message)
            if isinstance(prepared, Verdict):
                verdict = prepared
            else:
                try:
                    verdict = await self.postman.deliver(message, prepared)
                except AppUnreachable as error:
                    verdict = self.unreachable(error)
            if self.place.observer is not None:
                self.place.observer.delivered(self.place.pubsub, message, verdict)
            if verdict.status is not Status.SUCCESS:
                await self.settle(message, verdict)
        finally:
            self.place.work.end()

    def prepare(self, message: Message) -> Reading | Verdict:
        """Return what is to be delivered, or the verdict where nothing is."""
        try:
            reading = self.read(message)
        except Unreadable as problem:
            return self.unreadable(problem)
        if reading.expired or reading.path is None:
            return Verdict(Status.DROP, "it expired" if reading.expired else "no route matches it")
        return reading

    def unreadable(self, problem: Unreadable) -> Verdict:
        """Return the verdict of a message that never gets to the app.

        As in the real runtime it goes to the dead letter topic without another attempt, where
        there is one; else it is left to the broker.
        """
        return Verdict(Status.DROP if self.place.dead_letter else Status.RETRY, str(problem))

    def unreachable(self, error: AppUnreachable) -> Verdict:
        """Return the verdict of a call that brought no answer.

        Raises:
            Undelivered: it did not reach the app, and the broker can wait for it; or another
                replica can take what a broker that delivers once would lose.
        """
        component = self.place.component
        kept = isinstance(error, AppAway) and not component.serial
        if kept or (component.dead_letter_after == 1 and self.place.elsewhere()):
            raise Undelivered(str(error)) from error
        return Verdict(Status.RETRY, str(error))

    def read(self, message: Message) -> Reading:
        """Find out where a message goes and with which body.

        Raises:
            Unreadable: it is no CloudEvent, or a rule fails on it.
        """
        place = self.place
        if place.problem:
            raise Unreadable(place.problem)
        if place.raw:
            metadata = message.metadata
            body = synthesise(message.data, new_id(), place.pubsub, place.topic, metadata)
            return Reading(body, _traced_by(metadata), self._find(body))
        body = message.data
        try:
            head = _head.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise Unreadable("it is not a CloudEvent in JSON") from error
        if head.expiration is not None and is_expired(head.expiration, place.clock.now()):
            return Reading(body, None, None, expired=True)
        return Reading(body, trace_of(head), self._find(body))

    def _find(self, body: bytes) -> str | None:
        return self._route(body) if self._only is None else self._only

    def _route(self, body: bytes) -> str | None:
        try:
            return self.place.routes.find(with_floats(_event.decode(body)))
        except ExpressionError as error:
            raise Unreadable(str(error)) from error

    async def settle(self, message: Message, verdict: Verdict) -> None:
        """Do what a verdict other than success asks for.

        Raises:
            Nack: the message stays with the broker.
        """
        place = self.place
        if verdict.status is Status.RETRY:
            if self.stopping:
                raise Undelivered(verdict.reason)
            if not place.dead_letter or message.attempt < self.dead_letter_after:
                raise Nack(verdict.reason)
        if place.dead_letter:
            await self._bury(message, verdict.reason)
        else:
            logger.warning(
                "an event on '%s/%s' for app '%s' is given up: %s; "
                "name a dead letter topic to keep such events",
                place.pubsub,
                place.topic,
                place.app_id,
                verdict.reason,
            )

    async def _bury(self, message: Message, reason: str) -> None:
        """Publish the original bytes to the dead letter topic."""
        place = self.place
        logger.warning(
            "an event on '%s/%s' for app '%s' goes to its dead letter topic '%s': %s",
            place.pubsub,
            place.topic,
            place.app_id,
            place.dead_letter,
            reason,
        )
        dead = Message(place.dead_letter, message.data, message.metadata, message.content_type)
        try:
            async with asyncio.timeout(DEAD_LETTER_BUDGET):
                await place.component.publish(dead)
        except (ComponentError, TimeoutError) as error:
            raise Nack(
                f"{reason}, and dead letter topic '{place.dead_letter}' refused it: "
                f"{str(error) or 'it took too long'}"
            ) from error
        if place.observer is not None:
            place.observer.published(place.pubsub, dead)


def _traced_by(metadata: Mapping[str, str] | None) -> str | None:
    """Return the trace parent that the metadata of a raw message name, None where they do not."""
    return metadata.get("traceparent", metadata.get("traceid")) if metadata else None


Stop = Callable[[], Awaitable[None]]
"""Stops a subscription's deliveries and lets what is in flight end."""
