"""Compiled topic handlers: one event, or a batch of them, to a verdict."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import msgspec
from msgspec import structs

from daprflow.errors import Drop, Retry
from daprflow.handlers import verdicts
from daprflow.handlers.calling import Call
from daprflow.handlers.decoding import EventDecoder, Undecodable
from daprflow.handlers.envelopes import Batch, Entry
from daprflow.handlers.faults import Faults
from daprflow.handlers.handler import Delivery, Next, Outcome
from daprflow.handlers.pool import PoolFull
from daprflow.protocol import cloudevents
from daprflow.protocol.cloudevents import NotAnEvent
from daprflow.protocol.deliveries import (
    BulkDelivery,
    BulkEntry,
    BulkVerdict,
    EntryVerdict,
    Status,
)
from daprflow.protocol.http import JSON

logger = logging.getLogger(__name__)

_bulk = msgspec.json.Decoder(BulkDelivery)


@dataclass(frozen=True, slots=True)
class TopicPolicy:
    """What a topic handler is called in logs, and what becomes of an undecodable payload."""

    title: str
    dead_letter: bool

    def raised(self, title: str, delivery: Delivery, error: BaseException) -> Outcome:
        """Return the verdict that an exception stands for; ``title`` names what raised it."""
        match error:
            case Undecodable():
                return self.undecodable(delivery, error)
            case Retry():
                return Outcome(Status.RETRY, 200, verdicts.RETRY.body, error=error)
            case Drop():
                logger.info("%s dropped event %s", title, verdicts.event_id(delivery))
                return Outcome(Status.DROP, 200, verdicts.DROP.body, error=error)
            case PoolFull():
                return verdicts.busy(delivery, error)
            case _:
                return verdicts.failed(title, delivery, error)

    def raised_in_bulk(self, title: str, delivery: Delivery, error: BaseException) -> Outcome:
        """Return the verdict on the entries that have none of their own; none is said yet."""
        if isinstance(error, Retry | PoolFull):
            return Outcome(Status.RETRY, error=error)
        if isinstance(error, Drop):
            return Outcome(Status.DROP, error=error)
        return verdicts.failed(title, delivery, error)

    def undecodable(self, delivery: Delivery, error: Exception) -> Outcome:
        """Log the place of the mistake, never the payload, and decide."""
        logger.error(
            "%s cannot decode event %s of '%s' (%d bytes): %s; %s",
            self.title,
            verdicts.event_id(delivery),
            delivery.name,
            len(delivery.body),
            error,
            "it goes to the dead letter topic" if self.dead_letter else "answered 500",
        )
        if self.dead_letter:
            return Outcome(Status.DROP, 200, verdicts.DROP.body, error=error)
        return verdicts.refusal(500, f"undecodable event: {error}", error)


def single(call: Call, decode: Callable[[Delivery], Any] | None, faults: Faults) -> Next:
    """Return a handler of one event at a time; ``decode`` is None where it takes no payload."""
    by_status = verdicts.BY_STATUS
    success = verdicts.SUCCESS

    async def handle(delivery: Delivery) -> Outcome:
        try:
            if decode is None:
                result = await call(delivery)
            else:
                result = await call(delivery, decode(delivery))
        except verdicts.FAULTS as error:
            return await faults.outcome(delivery, error)
        if result is None:
            return success
        # Anything else was refused at freeze, as far as annotations tell; it is never sent.
        return by_status[result] if type(result) is Status else success

    return handle


def settled(_: Delivery, outcome: Outcome) -> Outcome:
    """Say an interceptor's verdict: the runtime takes an empty answer for SUCCESS."""
    body = verdicts.BY_STATUS[outcome.status].body
    if outcome.http_status != HTTPStatus.OK or outcome.body == body:
        return outcome
    return structs.replace(outcome, body=body, content_type=JSON)


def settled_bulk(delivery: Delivery, outcome: Outcome) -> Outcome:
    """Say an interceptor's verdict for every entry: the runtime retries those left out."""
    if outcome.http_status != HTTPStatus.OK or outcome.body:
        return outcome
    try:
        entries = _bulk.decode(delivery.body).entries
    except (ValueError, RecursionError) as error:
        return verdicts.refusal(500, "the batch cannot be read", error)
    order = [each.entry_id for each in entries]
    return _answer(order, dict.fromkeys(order, outcome.status), outcome.status, outcome.error)


def bulk(call: Call, decoder: EventDecoder, policy: TopicPolicy, faults: Faults) -> Next:
    """Return a handler of batches: every entry gets its own verdict.

    The runtime retries entries that the answer leaves out, so it lists every one.
    """

    async def handle(delivery: Delivery) -> Outcome:
        try:
            document = _bulk.decode(delivery.body)
        except (ValueError, RecursionError) as error:
            return policy.undecodable(delivery, Undecodable(cloudevents.reason_of(error)))
        entries: list[Entry[Any]] = []
        statuses: dict[str, Status] = {}
        for each in document.entries:
            decoded = _decode_entry(each, document, decoder, policy)
            if decoded is None:
                statuses[each.entry_id] = Status.DROP if policy.dead_letter else Status.RETRY
            else:
                entries.append(decoded)
        verdict, raised = await _decide(call, Batch(entries), delivery, faults)
        for entry in entries:
            statuses[entry.id] = entry.status or verdict
        return _answer([each.entry_id for each in document.entries], statuses, verdict, raised)

    return handle


async def _decide(
    call: Call, batch: Batch[Any], delivery: Delivery, faults: Faults
) -> tuple[Status, BaseException | None]:
    """Run the handler; the verdict is for the entries it did not decide itself."""
    if not batch:
        return Status.SUCCESS, None
    try:
        result = await call(delivery, batch)
    except verdicts.FAULTS as error:
        outcome = await faults.outcome(delivery, error)
        said = outcome.http_status == HTTPStatus.OK
        return (outcome.status if said else Status.RETRY), error
    return (result if type(result) is Status else Status.SUCCESS), None


def _answer(
    order: Sequence[str],
    statuses: dict[str, Status],
    verdict: Status,
    error: BaseException | None,
) -> Outcome:
    listed = tuple(EntryVerdict(entry, statuses[entry].value) for entry in order)
    return Outcome(verdict, 200, msgspec.json.encode(BulkVerdict(listed)), error=error)


def _decode_entry(
    entry: BulkEntry, document: BulkDelivery, decoder: EventDecoder, policy: TopicPolicy
) -> Entry[Any] | None:
    """Decode one entry; None, and a log line, where that is not possible."""
    try:
        if bytes(entry.event)[:1] != b'"':
            return Entry(entry.entry_id, decoder.event_of(entry.event))
        content = cloudevents.decode_base64(msgspec.json.decode(entry.event, type=str))
        attributes = {
            "id": entry.entry_id,
            "source": "Dapr",
            "type": "com.dapr.event.sent",
            "specversion": "1.0",
            "topic": document.topic,
            "pubsubname": document.pubsubname,
            "datacontenttype": entry.content_type,
        }
        return Entry(entry.entry_id, decoder.bytes_event(attributes, content))
    except (Undecodable, NotAnEvent, ValueError) as error:
        logger.error(  # noqa: TRY400 - the traceback would say nothing of the payload's mistake
            "%s cannot decode entry '%s' of a batch (%d bytes): %s; the others are not affected",
            policy.title,
            entry.entry_id,
            len(bytes(entry.event)),
            error,
        )
        return None
