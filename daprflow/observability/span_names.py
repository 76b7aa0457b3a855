"""What spans are called and say of themselves, by OpenTelemetry's conventions where there are."""

from collections.abc import Callable
from typing import Any, Final

from opentelemetry.trace import SpanKind

from daprflow.actors.plan import ActorCall
from daprflow.client.interception import ClientCall
from daprflow.handlers.handler import Delivery
from daprflow.observability.spans import Description
from daprflow.observability.trace_context import links_of
from daprflow.observability.watching import Handled
from daprflow.protocol.cloudevents import CloudEvent
from daprflow.workflows.turns import WorkflowTurn

SYSTEM: Final = "dapr"
Describe = Callable[[Any], Description]
_CALLER = b"dapr-caller-app-id"


def describer(app_id: str, handled: Handled) -> Describe:
    """Return what describes the deliveries to a handler."""
    describe = _DELIVERIES[handled.kind]

    def description(delivery: Delivery) -> Description:
        found = describe(app_id, handled, delivery)
        found.attributes["code.function.name"] = handled.handler
        return found

    return description


def _topic(app_id: str, handled: Handled, delivery: Delivery) -> Description:
    component, _, topic = handled.name.partition("/")
    attributes = {
        "messaging.system": SYSTEM,
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": topic,
        "messaging.consumer.group.name": app_id,
        "messaging.message.envelope.size": len(delivery.body),
        "dapr.component.name": component,
    }
    links = links_of(delivery) if handled.batch else ()
    return Description(f"process {topic}", SpanKind.CONSUMER, attributes, links)


def message(app_id: str, event: CloudEvent[Any]) -> Description:
    """Describe an event of a streaming subscription."""
    attributes = {
        "messaging.system": SYSTEM,
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": event.topic,
        "messaging.message.id": event.id,
        "dapr.component.name": event.pubsubname,
    }
    if app_id:
        attributes["messaging.consumer.group.name"] = app_id
    return Description(f"process {event.topic}", SpanKind.CONSUMER, attributes)


def _binding(app_id: str, handled: Handled, delivery: Delivery) -> Description:
    attributes = {
        "messaging.system": SYSTEM,
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": handled.name,
        "messaging.consumer.group.name": app_id,
        "messaging.message.body.size": len(delivery.body),
        "dapr.component.name": handled.name,
    }
    return Description(f"process {handled.name}", SpanKind.CONSUMER, attributes)


def _tick(_: str, handled: Handled, __: Delivery) -> Description:
    attributes = {"faas.trigger": "timer", "dapr.block": handled.kind, "dapr.name": handled.name}
    return Description(f"{handled.kind} {handled.name}", SpanKind.CONSUMER, attributes)


def _configuration(_: str, __: Handled, delivery: Delivery) -> Description:
    store, _, key = delivery.name.partition("/")
    attributes = {"dapr.block": "configuration", "dapr.component.name": store, "dapr.name": key}
    return Description(f"configuration {delivery.name}", SpanKind.CONSUMER, attributes)


def _invoke(app_id: str, handled: Handled, delivery: Delivery) -> Description:
    attributes: dict[str, Any] = {
        "rpc.system": SYSTEM,
        "rpc.service": app_id,
        "rpc.method": handled.name,
    }
    if delivery.scope is not None:
        attributes["http.request.method"] = delivery.scope["method"]
    for name, value in delivery.raw_headers:
        if name == _CALLER:
            attributes["dapr.caller.app_id"] = value.decode("latin-1")
    return Description(f"{app_id}/{handled.name}", SpanKind.SERVER, attributes)


def _actor(_: str, handled: Handled, delivery: Delivery) -> Description:
    kind = handled.name
    attributes: dict[str, Any] = {
        "rpc.system": SYSTEM,
        "rpc.service": kind,
        "dapr.actor.type": kind,
    }
    method = delivery.name.partition("/")[2]
    if isinstance(delivery, ActorCall):
        method = delivery.method
        attributes["dapr.actor.id"] = delivery.actor_id
        attributes["dapr.actor.trigger"] = _TRIGGERS.get(delivery.tick, delivery.tick)
    attributes["rpc.method"] = method
    return Description(f"{kind}/{method}", SpanKind.SERVER, attributes)


def _activity(_: str, handled: Handled, delivery: Delivery) -> Description:
    attributes = {"dapr.block": "workflows", "dapr.activity.name": handled.name}
    for name, value in delivery.raw_headers:
        attribute = _ACTIVITY_HEADERS.get(name)
        if attribute is not None:
            attributes[attribute] = value.decode()
    return Description(f"activity {handled.name}", SpanKind.CONSUMER, attributes)


def turn(told: WorkflowTurn) -> Description:
    """Describe a turn of a workflow."""
    attributes: dict[str, Any] = {
        "dapr.block": "workflows",
        "dapr.workflow.name": told.name,
        "dapr.workflow.instance_id": told.instance,
        "dapr.workflow.past_events": told.number,
        "dapr.workflow.new_events": told.events,
    }
    if told.execution:
        attributes["dapr.workflow.execution_id"] = told.execution
    return Description(f"workflow {told.name}", SpanKind.INTERNAL, attributes)


def call(made: ClientCall) -> Description:
    """Describe a call of the client."""
    if made.block == "pubsub":
        return _published(made)
    attributes: dict[str, Any] = {"rpc.system": SYSTEM, "dapr.block": made.block}
    if made.block in _SERVICES:
        service, method = made.target, made.name or made.operation
        if made.block == "actors":
            attributes["dapr.actor.type"] = made.target
            attributes["dapr.actor.id"] = made.instance
            if made.operation != "call":
                method = made.operation
        name = f"{service}/{method}"
    else:
        service, method = made.block, made.operation
        about = made.target or made.name
        name = f"{service}/{method} {about}".rstrip()
        if made.target:
            attributes["dapr.component.name"] = made.target
        if made.name:
            attributes["dapr.name"] = made.name
        if made.block == "workflows" and made.instance:
            attributes["dapr.workflow.instance_id"] = made.instance
    attributes["rpc.service"] = service
    attributes["rpc.method"] = method
    if made.protocol == "http":
        attributes["http.request.method"] = made.method
    return Description(name, SpanKind.CLIENT, attributes)


def _published(made: ClientCall) -> Description:
    attributes = {
        "messaging.system": SYSTEM,
        "messaging.operation.name": made.operation,
        "messaging.destination.name": made.name,
        "dapr.component.name": made.target,
    }
    name = f"{made.operation} {made.name}"
    if made.operation == "subscribe":  # it sends nothing, and what comes has spans of its own
        return Description(name, SpanKind.CLIENT, attributes)
    attributes["messaging.operation.type"] = "send"
    return Description(name, SpanKind.PRODUCER, attributes)


_SERVICES = frozenset({"invoke", "actors"})
_TRIGGERS = {"": "method", "remind": "reminder", "timer": "timer"}
_ACTIVITY_HEADERS = {
    b"dapr-workflow-id": "dapr.workflow.instance_id",
    b"dapr-task-id": "dapr.task.id",
    b"dapr-task-execution-id": "dapr.task.execution_id",
}
_DELIVERIES: dict[str, Callable[[str, Handled, Delivery], Description]] = {
    "topic": _topic,
    "binding": _binding,
    "cron": _tick,
    "job": _tick,
    "configuration": _configuration,
    "invoke": _invoke,
    "actor": _actor,
    "activity": _activity,
}
