"""Idempotency of topic handlers: an event is handled at most once within a window."""

import hashlib
import logging
from asyncio import gather
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import msgspec

from daprflow.client import Client
from daprflow.client.inbox import Claim, Inbox, Seen
from daprflow.errors import Retry, SidecarError
from daprflow.handlers import codec
from daprflow.handlers.calling import Call, caller
from daprflow.handlers.decoding import EventDecoder
from daprflow.handlers.envelopes import Batch, Entry
from daprflow.handlers.handler import Delivery
from daprflow.handlers.pool import HandlerPool
from daprflow.handlers.providers import Container
from daprflow.handlers.registration import Kind, Registration, Source
from daprflow.handlers.signature import read_handler
from daprflow.handlers.subscriptions import TopicPlan
from daprflow.protocol.cloudevents import CloudEvent
from daprflow.protocol.deliveries import Status

logger = logging.getLogger(__name__)

WINDOW = timedelta(days=1)
LEASE = timedelta(seconds=30)
_SHORTEST = timedelta(seconds=1)
_LENGTH = 32

ClientOf = Callable[[Delivery], Any]
"""Returns the app's client, awaited."""


class Once(msgspec.Struct, frozen=True):
    """Handle an event at most once: ``@app.topic(orders, once=Once("statestore"))``.

    The handler's events are claimed in a state store before they are handled, and marked when they
    are done. Which event it is, its ``source`` and ``id`` say, or its data where it is raw.

    Attributes:
        store: the state store's name; it needs ETags, and TTL to forget.
        window: how long an event that was done is remembered.
        key: says by what two events are the same, in the place of ``source`` and ``id``.
        lease: how long an event is kept from others after its process died; it is renewed while
            a handler runs.

    Example:
        ```python
        @app.topic(orders, once=Once("statestore"))
        async def on_order(order: Order) -> None: ...
        ```
    """

    store: str
    window: timedelta = WINDOW
    key: Callable[[CloudEvent[Any]], str] | None = None
    lease: timedelta = LEASE


def once_of(registration: Registration) -> Once | None:
    """Return how often a handler handles an event; None where that is as often as it comes."""
    given = registration.own.once
    return Once(given) if isinstance(given, str) else given


def problem(registration: Registration) -> str:
    """Return what is wrong with ``once``; empty where nothing is."""
    given = registration.own.once
    if given is None:
        return ""
    if registration.kind is not Kind.TOPIC:
        return f"sets 'once', which {registration.kind} handlers do not have; topic handlers do"
    once = once_of(registration)
    if not isinstance(once, Once):
        return f"sets once={given!r}; it must be the name of a state store or a Once"
    return _problem_of(once)


def _problem_of(once: Once) -> str:
    if not isinstance(once.store, str) or not once.store:
        return "sets 'once' without the name of a state store"
    for name, value in (("window", once.window), ("lease", once.lease)):
        if not isinstance(value, timedelta) or value < _SHORTEST:
            return f"sets Once({name}={value!r}); it must be a timedelta of a second or more"
    if once.key is not None and not callable(once.key):
        return f"sets Once(key={once.key!r}); it must be a function of a CloudEvent"
    return ""


class Inboxes:
    """Claims the events of one handler, and marks them.

    Args:
        registration: the handler.
        address: its pub/sub component and topic.
        client_of: returns the app's client.
        decoder: reads its events.
        raw: whether these have no envelope of their own.
    """

    def __init__(
        self,
        registration: Registration,
        address: str,
        client_of: ClientOf,
        decoder: EventDecoder,
        *,
        raw: bool,
    ) -> None:
        once = once_of(registration)
        assert once is not None  # noqa: S101 - else nobody makes one
        self._once = once
        self._title = registration.title
        self._scope = f"{address}\n{registration.name}\n"
        self._client_of = client_of
        self._decoder = decoder
        self._raw = raw
        self._inbox: tuple[Client, Inbox] | None = None

    def single(self, call: Call) -> Call:
        """Return a call that handles each event once."""

        async def run(delivery: Delivery, /, *payload: Any) -> Any:
            inbox = await self._of(delivery)
            event = payload[0] if payload and type(payload[0]) is CloudEvent else None
            claim = await inbox.claim(self._key(event or self._decoder.event(delivery)))
            if claim is Seen.DONE:
                logger.debug("%s passes over an event that it handled before", self._title)
                return Status.SUCCESS
            if not isinstance(claim, Claim):
                raise Retry("it is being handled")
            try:
                async with inbox.renewed([claim]):
                    result = await call(delivery, *payload)
            except BaseException:
                await inbox.release(claim)
                raise
            if type(result) is Status and result is not Status.SUCCESS:
                await inbox.release(claim)
            else:
                await inbox.done(claim)
            return result

        return run

    def batched(self, call: Call) -> Call:
        """Return a call that handles each event of a batch once."""

        async def run(delivery: Delivery, batch: Batch[Any], /) -> Any:
            inbox = await self._of(delivery)
            claims = await self._claims(inbox, batch)
            mine = [entry for entry in batch if id(entry) in claims]
            if not mine:
                return None
            try:
                async with inbox.renewed(list(claims.values())):
                    result = await call(delivery, Batch(mine))
            except BaseException:
                await self._settle(inbox, mine, claims, Status.RETRY)
                raise
            verdict = result if type(result) is Status else Status.SUCCESS
            await self._settle(inbox, mine, claims, verdict)
            return result

        return run

    async def _claims(self, inbox: Inbox, batch: Batch[Any]) -> dict[int, Claim]:
        """Claim entries; those that are not for us have their verdict then."""
        claims: dict[int, Claim] = {}
        keys: set[str] = set()

        async def claim(entry: Entry[Any], key: str) -> None:
            try:
                found = await inbox.claim(key)
            except SidecarError as error:
                logger.warning("%s cannot claim an event: %s", self._title, error)
                entry.retry()
                return
            if isinstance(found, Claim):
                claims[id(entry)] = found
            elif found is Seen.DONE:
                entry.done()
            else:
                entry.retry()

        asked = []
        for entry in batch:
            key = self._key(entry.event)
            if key in keys:
                entry.retry()  # twice in one batch: by then the first is done
            else:
                keys.add(key)
                asked.append(claim(entry, key))
        await gather(*asked)
        return claims

    async def _settle(
        self, inbox: Inbox, mine: Sequence[Entry[Any]], claims: Mapping[int, Claim], verdict: Status
    ) -> None:
        await gather(
            *(
                inbox.done(claims[id(entry)])
                if (entry.status or verdict) is Status.SUCCESS
                else inbox.release(claims[id(entry)])
                for entry in mine
            )
        )

    async def _of(self, delivery: Delivery) -> Inbox:
        client = await self._client_of(delivery)
        if self._inbox is None or self._inbox[0] is not client:
            once = self._once
            self._inbox = (client, Inbox(client, once.store, once.window, once.lease))
        return self._inbox[1]

    def _key(self, event: CloudEvent[Any]) -> str:
        if self._once.key is not None:
            said = self._once.key(event)
        elif self._raw:
            data = event.data
            content = data if isinstance(data, bytes) else codec.encode(data)
            said = hashlib.sha256(content).hexdigest()
        else:
            said = f"{event.source}\n{event.id}"
        digest = hashlib.sha256(f"{self._scope}{said}".encode()).hexdigest()
        return f"once:{digest[:_LENGTH]}"


class OnceCompiler:
    """Puts inboxes around topic handlers."""

    def __init__(self, container: Container, pool: HandlerPool) -> None:
        self._container = container
        self._pool = pool

    def around(
        self, call: Call, registration: Registration, plan: TopicPlan, decoder: EventDecoder
    ) -> Call:
        """Return ``call`` within the inbox of its handler; without one, ``call``."""
        once = once_of(registration)
        if once is None or problem(registration):
            return call
        client = self._client_of(registration.source)
        inboxes = Inboxes(registration, plan.address, client, decoder, raw=plan.raw)
        bulk = any(each.bulk for each in plan.handlers if each.registration is registration)
        return inboxes.batched(call) if bulk else inboxes.single(call)

    def _client_of(self, source: Source) -> ClientOf:
        """Return what gives the app's client, while the app runs."""

        async def given(*, client: Client) -> Client:
            return client

        signature = read_handler(given, source)
        plan = self._container.plan(signature.injected)
        return caller(given, signature.calling, plan, self._container, self._pool)
