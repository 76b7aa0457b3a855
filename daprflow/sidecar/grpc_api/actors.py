"""The methods of actors: calls, state, timers, reminders, and the stream of an app that hosts."""

import asyncio
import logging
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec

from daprflow.protocol import actor_faults, messages
from daprflow.protocol.actor_names import plain_method
from daprflow.protocol.actors import (
    REENTRANCY_ID,
    ReminderDescription,
    ReminderRequest,
    TimerRequest,
)
from daprflow.protocol.documents import AppConfig, EntityConfig, Reentrancy
from daprflow.protocol.periods import go_duration
from daprflow.sidecar.actors.headers import to_actor
from daprflow.sidecar.actors.host import ActorCall, ActorRaised
from daprflow.sidecar.actors.state import TTL, StateChange
from daprflow.sidecar.blocks.state import expiry_text
from daprflow.sidecar.grpc_api.actor_line import ActorLine, any_of
from daprflow.sidecar.grpc_api.call import GrpcCall, Method, Shape
from daprflow.sidecar.grpc_api.jobs import policy_of

logger = logging.getLogger(__name__)

_NO_PARENT = ("traceparent", "00-" + "0" * 32 + "-" + "0" * 16 + "-00")


# ---- calls and state ----------------------------------------------------------------------------


async def _invoke(
    call: GrpcCall, request: messages.InvokeActorRequest
) -> messages.InvokeActorResponse:
    block = call.runtime.actors
    sent = {name.lower(): value for name, value in request.metadata.items()}
    sent.pop("content-type", None)
    headers = to_actor(sent.items(), secret=False)
    trace = call.trace
    headers.append(("traceparent", trace.traceparent) if trace.traceparent else _NO_PARENT)
    if trace.tracestate:
        headers.append(("tracestate", trace.tracestate))
    made = ActorCall(
        plain_method(request.method),
        request.data,
        (*headers, *block.identity),
        reentrancy_id=sent.get(REENTRANCY_ID, ""),
    )
    try:
        answer = await block.invoke(request.actor_type, request.actor_id, made)
    except ActorRaised as raised:
        answer = raised.answer
    return messages.InvokeActorResponse(data=answer.data)


async def _get_state(
    call: GrpcCall, request: messages.GetActorStateRequest
) -> messages.GetActorStateResponse:
    block = call.runtime.actors
    found = await block.get_state(request.actor_type, request.actor_id, request.key)
    if found is None:
        return messages.GetActorStateResponse()
    answer = messages.GetActorStateResponse(data=found.data)
    if found.expires is not None:
        answer.metadata["ttlExpireTime"] = expiry_text(found.expires)
    return answer


async def _transact(
    call: GrpcCall, request: messages.ExecuteActorStateTransactionRequest
) -> messages.Empty:
    changes = [_change(operation) for operation in request.operations]
    await call.runtime.actors.transact(request.actor_type, request.actor_id, changes)
    return messages.Empty()


def _change(operation: messages.TransactionalActorStateOperation) -> StateChange:
    if operation.operationType == "upsert":
        ttl = operation.metadata.get(TTL)
        return StateChange(operation.key, operation.value.value, ttl=ttl)
    if operation.operationType == "delete":
        return StateChange(operation.key, None)
    raise actor_faults.unknown_operation(operation.operationType)


# ---- timers and reminders -----------------------------------------------------------------------


async def _set_timer(call: GrpcCall, request: messages.RegisterActorTimerRequest) -> messages.Empty:
    timer = TimerRequest(
        request.due_time, request.period, request.ttl, request.callback, _json(request.data)
    )
    block = call.runtime.actors
    block.register_timer(request.actor_type, request.actor_id, request.name, timer)
    return messages.Empty()


async def _delete_timer(
    call: GrpcCall, request: messages.UnregisterActorTimerRequest
) -> messages.Empty:
    block = call.runtime.actors
    block.unregister_timer(request.actor_type, request.actor_id, request.name)
    return messages.Empty()


async def _set_reminder(
    call: GrpcCall, request: messages.RegisterActorReminderRequest
) -> messages.Empty:
    if not request.name:
        raise actor_faults.bad_request("reminder name cannot be empty")
    reminder = ReminderRequest(
        request.due_time,
        request.period,
        request.ttl,
        _json(request.data),
        request.overwrite if request.HasField("overwrite") else None,
        policy_of(request.failure_policy),
    )
    block = call.runtime.actors
    await block.register_reminder(request.actor_type, request.actor_id, request.name, reminder)
    return messages.Empty()


async def _delete_reminder(
    call: GrpcCall, request: messages.UnregisterActorReminderRequest
) -> messages.Empty:
    block = call.runtime.actors
    await block.unregister_reminder(request.actor_type, request.actor_id, request.name)
    return messages.Empty()


async def _delete_reminders(
    call: GrpcCall, request: messages.UnregisterActorRemindersByTypeRequest
) -> messages.UnregisterActorRemindersByTypeResponse:
    actor_id = request.actor_id if request.HasField("actor_id") else None
    await call.runtime.actors.unregister_reminders(request.actor_type, actor_id)
    return messages.UnregisterActorRemindersByTypeResponse()


async def _get_reminder(
    call: GrpcCall, request: messages.GetActorReminderRequest
) -> messages.GetActorReminderResponse:
    block = call.runtime.actors
    found = block.reminder(request.actor_type, request.actor_id, request.name)
    return messages.GetActorReminderResponse(**_told(found))


async def _list_reminders(
    call: GrpcCall, request: messages.ListActorRemindersRequest
) -> messages.ListActorRemindersResponse:
    actor_id = request.actor_id if request.HasField("actor_id") else None
    found = call.runtime.actors.reminders(request.actor_type, actor_id)
    return messages.ListActorRemindersResponse(
        reminders=[
            messages.NamedActorReminder(
                name=each.name, reminder=messages.ActorReminder(**_told(each.description))
            )
            for each in found
        ]
    )


def _json(data: bytes) -> msgspec.Raw | msgspec.UnsetType:
    """Return bytes as Go's JSON has them; none at all are no data."""
    return msgspec.Raw(b'"' + b64encode(data) + b'"') if data else msgspec.UNSET


def _told(found: ReminderDescription) -> dict[str, Any]:
    return {
        "actor_type": found.actor_type,
        "actor_id": found.actor_id,
        "due_time": found.due_time or None,
        "period": found.period or None,
        "ttl": found.ttl or None,
        "data": any_of(found.data),
    }


# ---- an app that hosts through a stream ---------------------------------------------------------


async def _host(
    call: GrpcCall, requests: AsyncIterator[messages.SubscribeActorEventsRequestAlpha1]
) -> AsyncIterator[messages.SubscribeActorEventsResponseAlpha1]:
    hosts = call.runtime.actors.hosting
    hosts.check_streams()
    first = await anext(requests, None)
    if first is None:
        return
    if not first.HasField("initial_request"):
        raise actor_faults.needs_initial()
    line = ActorLine()
    hosting = await hosts.join(line, _config(first.initial_request))
    reader = asyncio.get_running_loop().create_task(_read(requests, line))
    try:
        initial = messages.SubscribeActorEventsResponseInitialAlpha1()
        yield messages.SubscribeActorEventsResponseAlpha1(initial_response=initial)
        while (request := await line.next()) is not None:
            yield request
    finally:
        reader.cancel()
        line.close()
        await hosts.leave(line, hosting)
        await asyncio.wait({reader})


async def _read(requests: AsyncIterator[Any], line: ActorLine) -> None:
    """Take the client's answers until it has said its last."""
    try:
        async for reply in requests:
            line.answer(reply)
    except Exception:
        logger.debug("a stream broke off", exc_info=True)
    line.close()


def _config(asked: messages.SubscribeActorEventsRequestInitialAlpha1) -> AppConfig:
    """Return what an app says on its stream as it would say it over HTTP."""
    common = _entry(asked)
    return AppConfig(
        entities=common.entities,
        actor_idle_timeout=common.actor_idle_timeout,
        drain_ongoing_call_timeout=common.drain_ongoing_call_timeout,
        drain_rebalanced_actors=common.drain_rebalanced_actors,
        reentrancy=common.reentrancy,
        entities_config=tuple(_entry(entry) for entry in asked.entities_config),
    )


def _entry(asked: Any) -> EntityConfig:
    reentrancy = asked.reentrancy
    depth = reentrancy.max_stack_depth if reentrancy.HasField("max_stack_depth") else None
    drained = asked.drain_rebalanced_actors if asked.HasField("drain_rebalanced_actors") else None
    return EntityConfig(
        entities=tuple(asked.entities),
        actor_idle_timeout=_duration(asked, "actor_idle_timeout"),
        drain_ongoing_call_timeout=_duration(asked, "drain_ongoing_call_timeout"),
        drain_rebalanced_actors=drained,
        reentrancy=Reentrancy(reentrancy.enabled, depth) if asked.HasField("reentrancy") else None,
    )


def _duration(asked: Any, name: str) -> str:
    return go_duration(getattr(asked, name).ToTimedelta()) if asked.HasField(name) else ""


METHODS: Mapping[str, Method] = {
    "InvokeActor": Method(_invoke, messages.InvokeActorRequest),
    "GetActorState": Method(_get_state, messages.GetActorStateRequest),
    "ExecuteActorStateTransaction": Method(
        _transact, messages.ExecuteActorStateTransactionRequest, whole=True
    ),
    "RegisterActorTimer": Method(_set_timer, messages.RegisterActorTimerRequest),
    "UnregisterActorTimer": Method(_delete_timer, messages.UnregisterActorTimerRequest),
    "RegisterActorReminder": Method(
        _set_reminder, messages.RegisterActorReminderRequest, whole=True
    ),
    "UnregisterActorReminder": Method(
        _delete_reminder, messages.UnregisterActorReminderRequest, whole=True
    ),
    "UnregisterActorRemindersByType": Method(
        _delete_reminders, messages.UnregisterActorRemindersByTypeRequest, whole=True
    ),
    "GetActorReminder": Method(_get_reminder, messages.GetActorReminderRequest),
    "ListActorReminders": Method(_list_reminders, messages.ListActorRemindersRequest),
    "SubscribeActorEventsAlpha1": Method(
        _host, messages.SubscribeActorEventsRequestAlpha1, Shape.BOTH_STREAM
    ),
}
