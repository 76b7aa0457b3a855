"""Dapr's errors about actors."""

from daprflow.protocol.actor_names import quoted
from daprflow.protocol.fault import Fault
from daprflow.protocol.grpc_codes import Code


class NoActorHost(Fault):
    """Nobody hosts the type; over gRPC the text stands without what HTTP puts before it."""

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(500, "ERR_ACTOR_INVOKE_METHOD", f"error invoke actor method: {text}")


def bad_request(text: str) -> Fault:
    """Return the fault of a name that cannot be one."""
    return Fault(400, "ERR_BAD_REQUEST", f"invalid request: {text}")


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
