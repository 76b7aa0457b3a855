"""``/v1.0/actors/{type}/{id}/…``: methods, state, timers and reminders of actors."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import msgspec

from daprflow.protocol import actor_faults, faults
from daprflow.protocol.actor_names import plain_method
from daprflow.protocol.actors import (
    REENTRANCY_ID,
    RESERVED,
    ActorStateOperation,
    ReminderRequest,
    TimerRequest,
)
from daprflow.protocol.gojson import GoJsonError, compact, decode_go, encode_go, normalise
from daprflow.protocol.http import Headers
from daprflow.sidecar.actors.headers import to_actor, to_caller
from daprflow.sidecar.actors.host import ActorAnswer, ActorCall, ActorRaised
from daprflow.sidecar.actors.state import TTL, StateChange
from daprflow.sidecar.blocks.state import expiry_text
from daprflow.sidecar.http_api.call import (
    DONE,
    JSON_TYPE,
    Answer,
    Call,
    ClientGone,
    HeaderPair,
    json_answer,
)
from daprflow.sidecar.http_api.trace import NO_PARENT, UNTRACED, parent_of

logger = logging.getLogger(__name__)

T = TypeVar("T")
Handler = Callable[[Call], Awaitable[Answer]]

PATIENT = 0.25
"""Seconds after which a call is given up when its client leaves; most calls are over by then."""

_ZERO_PARENT = ("traceparent", NO_PARENT.decode("ascii"))
_RESERVED = RESERVED.encode()
_WRITES = frozenset({"POST", "PUT"})
_METHODS = frozenset({"GET", "POST", "PUT", "DELETE"})
_SHORT, _LONG = 5, 6
_operations = msgspec.json.Decoder(tuple[ActorStateOperation, ...] | None)
_timer = msgspec.json.Decoder(TimerRequest | None)


class _Reminder(msgspec.Struct, frozen=True, rename="camel"):
    """What the real runtime reads of a reminder over HTTP: no failure policy, whatever it is."""

    due_time: str = ""
    period: str = ""
    ttl: str = ""
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    overwrite: bool | None = None
    failure_policy: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_reminder = msgspec.json.Decoder(_Reminder | None)


async def handle(call: Call) -> Answer | None:
    """Serve one call about an actor, None where no route fits."""
    segments = call.segments
    if segments[0] != b"v1.0" or len(segments) not in {_SHORT, _LONG}:
        return None
    if segments[2].startswith(_RESERVED) and segments[4] != b"method":
        raise actor_faults.reserved(call.segment(2))
    if len(segments) == _LONG:
        if segments[4] == b"method":
            return await _invoke(call) if call.method in _METHODS else None
        handler = _NAMED.get((segments[4], call.method))
        return None if handler is None else await handler(call)
    if segments[4] == b"state" and call.method in _WRITES:
        return await _transact(call)
    return None


# ---- methods ------------------------------------------------------------------------------------


async def _invoke(call: Call) -> Answer:
    kind, actor_id = call.segment(2), call.segment(3)
    query: bytes = call.scope["query_string"]
    body = await call.body(lambda text: actor_faults.bad_request(f"failed to read body: {text}"))
    made = ActorCall(
        plain_method(call.segment(5)),
        body,
        _headers(call),
        query.decode("latin-1"),
        call.header(REENTRANCY_ID.encode()),
    )
    try:
        answer = await _while_wanted(call, call.runtime.actors.invoke(kind, actor_id, made))
    except ActorRaised as raised:
        answer = raised.answer
    return Answer(200, answer.data, _answer_headers(answer))


def _headers(call: Call) -> Headers:
    """Return what goes to the host: the caller's headers, and who that is."""
    options = call.runtime.options
    headers = [
        (name.decode("latin-1"), value.decode("utf-8", "surrogateescape"))
        for name, value in call.scope["headers"]
    ]
    kept = to_actor(headers, secret=bool(options.api_token or options.app_token))
    parent, state = parent_of(call)
    if UNTRACED in call.scope:  # then it is a header like others
        parent, state = call.header(b"traceparent"), call.header(b"tracestate")
    kept.append(("traceparent", parent) if parent else _ZERO_PARENT)
    if state:
        kept.append(("tracestate", state))
    return (*kept, *call.runtime.actors.identity)


def _answer_headers(answer: ActorAnswer) -> tuple[HeaderPair, ...]:
    pairs = [
        (name.encode("latin-1"), value.encode("latin-1"))
        for name, value in to_caller(answer.headers)
    ]
    if all(name != b"content-type" for name, _ in pairs):
        pairs.append(JSON_TYPE)
    return tuple(pairs)


async def _while_wanted(call: Call, work: Awaitable[T]) -> T:
    """Do ``work``, unless the client leaves before it is done.

    The client is looked after when the call has lasted for some time: that costs as much as the
    rest of a short one.
    """
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    watch: asyncio.Task[None] | None = None

    def look() -> None:
        nonlocal watch
        watch = loop.create_task(_left(call))
        watch.add_done_callback(gone)

    def gone(left: asyncio.Task[None]) -> None:
        if not left.cancelled() and task is not None:
            task.cancel()

    timer = loop.call_later(PATIENT, look)
    try:
        return await work
    except asyncio.CancelledError:
        if watch is not None and watch.done() and not watch.cancelled() and task is not None:
            task.uncancel()
            raise ClientGone from None
        raise
    finally:
        timer.cancel()
        if watch is not None:
            watch.remove_done_callback(gone)
            watch.cancel()


async def _left(call: Call) -> None:
    while (await call.receive())["type"] != "http.disconnect":
        pass


# ---- state --------------------------------------------------------------------------------------


async def _get_state(call: Call) -> Answer:
    block = call.runtime.actors
    found = await block.get_state(call.segment(2), call.segment(3), call.segment(5))
    if found is None or not found.data:
        return DONE
    if found.expires is None:
        return json_answer(found.data)
    expires = expiry_text(found.expires).encode("ascii")
    return json_answer(found.data, (b"metadata.ttlexpiretime", expires))


async def _transact(call: Call) -> Answer:
    try:
        body = await call.body(faults.malformed_body)
        asked = decode_go(_operations, body, "[]api.TransactionalOperation") or ()
        operations = [
            (each, normalise(each.request.value if each.request else b"null")) for each in asked
        ]
    except GoJsonError as error:
        raise faults.malformed_body(str(error)) from None
    changes = [_change(operation, data) for operation, data in operations]
    await call.runtime.actors.transact(call.segment(2), call.segment(3), changes)
    return DONE


def _change(operation: ActorStateOperation, data: bytes) -> StateChange:
    asked = operation.request
    if asked is None:
        raise actor_faults.state_transaction("request data is empty")
    if operation.operation == "upsert":
        return StateChange(asked.key, data, asked.etag, (asked.metadata or {}).get(TTL))
    if operation.operation == "delete":
        return StateChange(asked.key, None, asked.etag)
    if not operation.operation:
        raise actor_faults.state_transaction("operation is empty")
    text = f"operation type {operation.operation} not supported"
    raise actor_faults.state_transaction(text)


# ---- timers and reminders -----------------------------------------------------------------------


async def _set_timer(call: Call) -> Answer:
    request = await _read(call, _timer, "api.CreateTimerRequest") or TimerRequest()
    request = msgspec.structs.replace(request, data=_compact(request.data))
    block = call.runtime.actors
    block.register_timer(call.segment(2), call.segment(3), call.segment(5), request)
    return DONE


async def _delete_timer(call: Call) -> Answer:
    call.runtime.actors.unregister_timer(call.segment(2), call.segment(3), call.segment(5))
    return DONE


async def _set_reminder(call: Call) -> Answer:
    asked = await _read(call, _reminder, "api.CreateReminderRequest") or _Reminder()
    kind, actor_id, name = call.segment(2), call.segment(3), call.segment(5)
    if asked.failure_policy is not msgspec.UNSET:
        logger.warning(
            "the failure policy of reminder '%s' of actor '%s/%s' does not count: the runtime "
            "reads one over gRPC alone",
            name,
            kind,
            actor_id,
        )
    request = ReminderRequest(
        asked.due_time, asked.period, asked.ttl, _compact(asked.data), asked.overwrite
    )
    await call.runtime.actors.register_reminder(kind, actor_id, name, request)
    return DONE


async def _get_reminder(call: Call) -> Answer:
    block = call.runtime.actors
    found = block.reminder(call.segment(2), call.segment(3), call.segment(5))
    return json_answer(encode_go(found) + b"\n")


async def _delete_reminder(call: Call) -> Answer:
    block = call.runtime.actors
    await block.unregister_reminder(call.segment(2), call.segment(3), call.segment(5))
    return DONE


async def _read(call: Call, decoder: msgspec.json.Decoder[T], go_type: str) -> T:
    try:
        return decode_go(decoder, await call.body(faults.malformed_body), go_type)
    except GoJsonError as error:
        raise faults.malformed_body(str(error)) from None


def _compact(data: msgspec.Raw | msgspec.UnsetType) -> msgspec.Raw | msgspec.UnsetType:
    return data if data is msgspec.UNSET else msgspec.Raw(compact(data))


_NAMED: Mapping[tuple[bytes, str], Handler] = {
    (b"state", "GET"): _get_state,
    (b"reminders", "POST"): _set_reminder,
    (b"reminders", "PUT"): _set_reminder,
    (b"reminders", "GET"): _get_reminder,
    (b"reminders", "DELETE"): _delete_reminder,
    (b"timers", "POST"): _set_timer,
    (b"timers", "PUT"): _set_timer,
    (b"timers", "DELETE"): _delete_timer,
}
