"""What a test can have fail or be late: one type for each part of a sidecar."""

from dataclasses import dataclass
from typing import Any, Literal

from daprflow.actors import ActorInterface
from daprflow.addresses import Activity, Endpoint, Topic
from daprflow.handlers.templates import parse


@dataclass(frozen=True, slots=True)
class StateStore:
    """A state store.

    Attributes:
        name: the component's.
        on: whether reads are meant, or writes (transactions included), or both.

    Example:
        ```python
        dapr.fail(StateStore("statestore", on="write"), times=1)
        ```
    """

    name: str
    on: Literal["any", "read", "write"] = "any"


@dataclass(frozen=True, slots=True)
class Broker:
    """Publishing on any topic of a pub/sub component; name a `Topic` to mean that one alone.

    Attributes:
        name: the component's.

    Example:
        ```python
        dapr.fail(Broker("pubsub"), times=1)
        ```
    """

    name: str


@dataclass(frozen=True, slots=True)
class LockStore:
    """A lock store.

    Attributes:
        name: the component's.
        on: whether locking is meant, or unlocking, or both.

    Example:
        ```python
        dapr.fail(LockStore("lockstore", on="lock"), times=1)
        ```
    """

    name: str
    on: Literal["any", "lock", "unlock"] = "any"


@dataclass(frozen=True, slots=True)
class SecretStore:
    """A secret store.

    Attributes:
        name: the component's.

    Example:
        ```python
        dapr.fail(SecretStore("vault"))
        ```
    """

    name: str


@dataclass(frozen=True, slots=True)
class ConfigurationStore:
    """Reading and following a configuration store.

    Attributes:
        name: the component's.

    Example:
        ```python
        dapr.fail(ConfigurationStore("settings"))
        ```
    """

    name: str


@dataclass(frozen=True, slots=True)
class OutputBinding:
    """An output binding; an empty operation means any.

    Attributes:
        name: the component's.
        operation: such as ``create``; empty for any.

    Example:
        ```python
        dapr.fail(OutputBinding("mail", "create"), times=1)
        ```
    """

    name: str
    operation: str = ""


Target = (
    StateStore
    | Broker
    | LockStore
    | SecretStore
    | ConfigurationStore
    | OutputBinding
    | Topic[Any]
    | Endpoint[Any, Any]
    | Activity[Any, Any]
    | type[ActorInterface]
)
"""A component, a topic, a method of an app, an activity, or all actors of a type."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One call on its way, as faults know it.

    Attributes:
        kind: the component's kind, or ``invoke``, ``activity``, ``actor``.
        name: the component's, the app's id, or the actor's type.
        what: the component's method, the verb, or the actor's method.
        detail: the topic, the path, the activity, the binding's operation, or a key; may be empty.
    """

    kind: str
    name: str
    what: str
    detail: str = ""


_OPERATIONS = {
    "read": frozenset({"get", "get_many", "query"}),
    "write": frozenset({"write", "transact"}),
    "lock": frozenset({"try_lock"}),
    "unlock": frozenset({"unlock"}),
}
_KINDS: dict[type, str] = {
    StateStore: "state",
    Broker: "pubsub",
    LockStore: "lock",
    SecretStore: "secretstores",
    ConfigurationStore: "configuration",
    OutputBinding: "bindings",
}


def require_target(target: object) -> None:
    """Refuse what no call is of.

    Raises:
        TypeError: it is a name, or a class in place of one of its objects.
    """
    if isinstance(target, (Topic, Endpoint, Activity, *_KINDS)):
        return
    if isinstance(target, type):
        if issubclass(target, ActorInterface):
            return
        if target in _KINDS:
            raise TypeError(
                f"{target.__name__} is a kind of component; say which one it is by its name, "
                f'such as {target.__name__}("name")'
            )
    raise TypeError(
        f"{target!r} is nothing that calls go to; give a component such as "
        f'StateStore("statestore"), a topic, an endpoint, an activity, or a class of actors'
    )


def matches(target: Target, app_id: str, operation: Operation) -> bool:
    """Tell whether a call is one of those that ``target`` means.

    Args:
        target: what a test named.
        app_id: of the app under test, whose own handles name no app.
        operation: the call.
    """
    match target:
        case Topic():
            wanted = Operation("pubsub", target.pubsub, operation.what, target.name)
        case Endpoint():
            return _is_call_of(target, app_id, operation)
        case Activity():
            wanted = Operation("activity", target.app_id or app_id, "", target.name)
        case type():
            wanted = Operation("actor", target.actor_type, operation.what, operation.detail)
        case _:
            kind = _KINDS[type(target)]
            wanted = Operation(kind, target.name, operation.what, operation.detail)
            if not _meant(target, operation):
                return False
    return wanted == operation


def _is_call_of(endpoint: Endpoint[Any, Any], app_id: str, operation: Operation) -> bool:
    """Tell whether a call is one of this method."""
    called = operation.kind, operation.name, operation.what
    if called != ("invoke", endpoint.app_id or app_id, endpoint.verb):
        return False
    parts = tuple(operation.detail.split("/"))
    if not endpoint.is_route:
        return parts == tuple(endpoint.method.strip("/").split("/"))
    shape = parse(endpoint.method).shape
    return len(shape) == len(parts) and all(
        text in (None, part) for text, part in zip(shape, parts, strict=True)
    )


def _meant(target: Target, operation: Operation) -> bool:
    """Tell whether a component's target means this operation of it."""
    if isinstance(target, OutputBinding):
        return target.operation in ("", operation.detail)
    if isinstance(target, StateStore | LockStore):
        return target.on == "any" or operation.what in _OPERATIONS[target.on]
    return True


def titled(target: Target) -> str:
    """Return how messages call it."""
    if isinstance(target, type):
        return f"actors of type '{target.actor_type}'"
    return repr(target)
