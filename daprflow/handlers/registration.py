"""What a decorator keeps: the function, its options and where it stands, without a look inside."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any

import msgspec

from daprflow.addresses import type_name
from daprflow.policies import FailurePolicy

_CO_NEWLOCALS = 0x0002


class Kind(StrEnum):
    """What a function was declared for."""

    TOPIC = "topic"
    BINDING = "binding"
    CRON = "cron"
    INVOKE = "invoke"
    JOB = "job"
    CONFIGURATION = "configuration"
    ACTOR = "actor"
    ACTIVITY = "activity"
    WORKFLOW = "workflow"
    PROVIDER = "provider"


@dataclass(frozen=True, slots=True)
class Source:
    """Where something was declared; ``namespace`` are the local names of an enclosing function."""

    module: str
    line: int
    namespace: Mapping[str, Any] | None = field(default=None, repr=False, compare=False)

    def __str__(self) -> str:
        return f"{self.module}:{self.line}"


class _Options(msgspec.Struct, frozen=True):
    """What a decorator was given. A Struct, since seven dataclasses cost 4 ms of every import."""


class TopicOptions(_Options, frozen=True):
    """How a topic is subscribed; None where the handler leaves an option to the others."""

    pubsub: str
    topic: str
    payload: Any = None
    match: str | None = None
    dead_letter: str | None = None
    max_messages: int | None = None
    max_wait: timedelta | None = None
    raw: bool | None = None
    metadata: Mapping[str, str] | None = None


class BindingOptions(_Options, frozen=True):
    """Which input binding is handled."""

    name: str


class CronOptions(_Options, frozen=True):
    """Which cron binding is handled, and when it fires."""

    name: str
    schedule: str


class InvokeOptions(_Options, frozen=True):
    """How other apps invoke the function: by a name with POST, or by a verb and a path.

    Attributes:
        name: the name, or the path's template.
        verb: empty where it has a name.
        status: what a good answer has; None is 200, or 204 where there is nothing to answer.
    """

    name: str
    verb: str = ""
    status: int | None = None

    @property
    def address(self) -> str:
        """The name, or verb and path."""
        return f"{self.verb} {self.name}" if self.verb else self.name


class JobOptions(_Options, frozen=True):
    """Which job is handled; with a schedule, the app sees to it that it is scheduled.

    Attributes:
        data: what each tick brings; unset for nothing.
    """

    name: str
    schedule: str | None = None
    data: Any = msgspec.UNSET
    failure_policy: FailurePolicy | None = None


class ConfigurationOptions(_Options, frozen=True):
    """Which items of a configuration store are handled; no keys means all.

    Attributes:
        default: the value of an item that is missing; None where there is none.
    """

    store: str
    keys: tuple[str, ...] = ()
    default: Any = None


class ActorOptions(_Options, frozen=True):
    """How the runtime treats the actors of a class; None leaves it to the app's defaults.

    Attributes:
        idle: how long after its last call an actor stays in memory.
        drain: how long a turn may go on when its actor has to move to another host.
        reentrant: whether a call may come back to an actor in whose turn it began.
        max_depth: how many calls may be in one turn.
    """

    idle: timedelta | None = None
    drain: timedelta | None = None
    reentrant: bool | None = None
    max_depth: int | None = None


class ActivityOptions(_Options, frozen=True):
    """By which name workflows call the function."""

    name: str


class WorkflowOptions(_Options, frozen=True):
    """By which name a workflow is started, and which of its versions the function is.

    Attributes:
        version: empty for a workflow without named versions.
        default: whether new instances run this version.
    """

    name: str
    version: str = ""
    default: bool | None = None


class ProviderOptions(_Options, frozen=True):
    """How long what a provider makes is kept: ``app`` or ``call``."""

    scope: str = "app"


Options = (
    TopicOptions
    | BindingOptions
    | CronOptions
    | InvokeOptions
    | JobOptions
    | ConfigurationOptions
    | ActorOptions
    | ActivityOptions
    | WorkflowOptions
    | ProviderOptions
)


class Own(msgspec.Struct, frozen=True):
    """What a handler, a router or an app was given to stand around it; looked at when it freezes.

    Attributes:
        interceptors: of type `Interceptor`, the first one outermost.
        middleware: Starlette's, the first one outermost.
        limit: how many deliveries at once, a number or a `Concurrency`; None for any number.
        once: where handled events are noted, a store's name or a `Once`; None for nowhere.
    """

    interceptors: Sequence[Any] = ()
    middleware: Sequence[Any] = ()
    limit: Any = None
    once: Any = None


PLAIN = Own()
"""Nothing of its own."""


@dataclass(frozen=True, slots=True)
class Registration:
    """One decorated function; made at decoration, compiled at freeze."""

    kind: Kind
    function: Callable[..., Any]
    options: Options
    source: Source
    own: Own = PLAIN

    @property
    def name(self) -> str:
        """The function's own name."""
        return name_of(self.function)

    @property
    def title(self) -> str:
        """How messages call it: kind, name and place."""
        plain = self.kind in (Kind.PROVIDER, Kind.ACTOR, Kind.ACTIVITY, Kind.WORKFLOW)
        noun = str(self.kind) if plain else f"{self.kind} handler"
        return f"{noun} '{self.name}' ({self.source})"


def name_of(function: Any) -> str:
    """Return the name of a function, a bound method, a partial or a callable object."""
    inner = getattr(function, "func", function)
    return str(getattr(inner, "__name__", None) or type_name(type(inner)))


def source_of(function: Any, caller: Source) -> Source:
    """Return where ``function`` stands; where that cannot be told, where it was decorated."""
    inner = getattr(function, "func", function)
    while hasattr(
        inner, "__wrapped__"
    ):  # the line is the user's, not that of a decorator's wrapper
        inner = inner.__wrapped__
    code = getattr(inner, "__code__", None)
    if code is None:
        return caller
    module = str(getattr(inner, "__module__", None) or caller.module)
    return Source(module, code.co_firstlineno, caller.namespace)


def calling_source(depth: int = 1) -> Source:
    """Return the place ``depth`` callers above, with its local names when it is in a function."""
    frame = sys._getframe(depth + 1)  # noqa: SLF001 - the documented way to the caller's frame
    local = dict(frame.f_locals) if frame.f_code.co_flags & _CO_NEWLOCALS else None
    return Source(str(frame.f_globals.get("__name__", "?")), frame.f_lineno, local)
