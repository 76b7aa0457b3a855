"""Dapr's errors about actors."""

from daprflow.protocol.actor_names import quoted
from daprflow.protocol.fault import Fault
from daprflow.protocol.grpc_codes import Code


def bad_request(text: str) -> Fault:
    """Return the fault of a name that cannot be one."""
    return Fault(400, "ERR_BAD_REQUEST", f"invalid request: {text}")


def bad_method(text: str) -> Fault:
    """Return the fault of a method that cannot be one."""
    plain = Fault(400, "ERR_BAD_REQUEST", f"invalid actor method: {text}")
    return Fault(400, "ERR_BAD_REQUEST", f"invalid request: {text}", over_grpc=plain)


def bad_actor(what: str, text: str) -> Fault:
    """Return the fault of a type or an id that cannot be one; ``what`` is Dapr's word for it."""
    text = f"invalid {what}: {text}"
    plain = Fault(400, "ERR_BAD_REQUEST", text)
    return Fault(400, "ERR_BAD_REQUEST", f"invalid request: {text}", over_grpc=plain)


def needs_stream() -> Fault:
    """Return the fault of a stream for actors beside an app that is called over HTTP."""
    text = "actor callback streaming requires a gRPC app channel"
    return Fault(400, "ERR_BAD_REQUEST", text, grpc=Code.FAILED_PRECONDITION)


def needs_initial() -> Fault:
    """Return the fault of a stream for actors that does not begin as it must."""
    text = "first message must be SubscribeActorEventsRequestInitialAlpha1"
    return Fault(400, "ERR_BAD_REQUEST", text)


def unknown_operation(operation: str) -> Fault:
    """Return the fault of a step of a transaction over gRPC that there is not."""
    text = f"operation type {operation} not supported"
    return Fault(500, "ERR_NOT_SUPPORTED_STATE_OPERATION", text, grpc=Code.UNIMPLEMENTED)


def reserved(kind: str) -> Fault:
    """Return the fault of a type that belongs to the runtime."""
    text = (
        f"actor type {quoted(kind)} is reserved for the Dapr workflow runtime; "
        "direct actor API access is not permitted"
    )
    return Fault(403, "ERR_ACTOR_TYPE_RESERVED", text)


def no_store() -> Fault:
    """Return the fault of a state call where no store is for actors."""
    text = (
        "the state store is not configured to use the actor runtime. Have you set the - name: "
        'actorStateStore value: "true" in your state store component file?'
    )
    return Fault(500, "ERR_ACTOR_RUNTIME_NOT_FOUND", text)


def invoke(error: str) -> Fault:
    """Return the fault of a call that did not work."""
    return Fault(500, "ERR_ACTOR_INVOKE_METHOD", f"error invoke actor method: {error}")


def no_host(text: str) -> Fault:
    """Return the fault of a call for which there is no host."""
    code = "ERR_ACTOR_INVOKE_METHOD"
    plain = Fault(400, code, text, grpc=Code.FAILED_PRECONDITION)
    return Fault(500, code, f"error invoke actor method: {text}", over_grpc=plain)


def too_deep() -> Fault:
    """Return the fault of a turn with too many calls in it."""
    text = "maximum stack depth exceeded"
    return Fault(500, "ERR_ACTOR_STACK_DEPTH", text, grpc=Code.RESOURCE_EXHAUSTED)


def not_active() -> Fault:
    """Return the fault of a write to the state of an actor that is not active here."""
    text = "actor instance is missing"
    return Fault(400, "ERR_ACTOR_INSTANCE_MISSING", text, grpc=Code.INTERNAL)


def state_get(error: str) -> Fault:
    """Return the fault of a read that the store refused."""
    return Fault(500, "ERR_ACTOR_STATE_GET", f"error getting actor state: {error}")


def state_transaction(error: str) -> Fault:
    """Return the fault of a transaction that was refused."""
    text = f"error saving actor transaction state: {error}"
    return Fault(500, "ERR_ACTOR_STATE_TRANSACTION_SAVE", text)


def not_hosted() -> Fault:
    """Return the fault of a reminder of a type that this app does not host."""
    text = "operations on actor reminders are only possible on hosted actor types"
    return Fault(403, "ERR_ACTOR_REMINDER_NON_HOSTED", text)


def reminder_create(error: str) -> Fault:
    """Return the fault of a reminder that cannot be."""
    return Fault(500, "ERR_ACTOR_REMINDER_CREATE", f"error creating actor reminder: {error}")


def reminder_delete(error: str) -> Fault:
    """Return the fault of a reminder that was not deleted."""
    return Fault(500, "ERR_ACTOR_REMINDER_DELETE", f"error deleting actor reminder: {error}")


def reminder_exists(name: str) -> Fault:
    """Return the fault of a reminder that is there and not to be replaced."""
    text = f"actor reminder already exists: {name}"
    return Fault(409, "ERR_ACTOR_REMINDER_ALREADY_EXISTS", text, grpc=Code.ALREADY_EXISTS)


def reminder_not_found(name: str) -> Fault:
    """Return the fault of a reminder that is not there."""
    return Fault(404, "ERR_ACTOR_REMINDER_NOT_FOUND", f"actor reminder not found: {name}")


def timer_create(error: str) -> Fault:
    """Return the fault of a timer that cannot be."""
    return Fault(500, "ERR_ACTOR_TIMER_CREATE", f"error creating actor timer: {error}")
