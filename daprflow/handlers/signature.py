"""What a function's signature says: payload, injected parameters, answer, way of calling.

The only module that inspects anything; it runs at freeze, never during a request.
"""

import builtins
import inspect
import sys
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Coroutine,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import dataclass
from enum import Enum, auto
from types import CodeType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    Never,
    NoReturn,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import msgspec

from daprflow.addresses import type_name
from daprflow.errors import MissingExtra
from daprflow.handlers.envelopes import Batch, BindingEvent, ConfigItem
from daprflow.handlers.parameters import Header, Parameter, Path, Place, Query, made
from daprflow.handlers.registration import Source
from daprflow.protocol.cloudevents import CloudEvent
from daprflow.protocol.deliveries import Status

_ENVELOPES = (CloudEvent, BindingEvent, Batch, ConfigItem)
_YIELDING = (AsyncIterator, AsyncGenerator, AsyncIterable, Iterator, Generator, Iterable)
_AWAITING = (Awaitable, Coroutine)
_MARKERS = (Query, Header, Path)
_SEVERAL = (list, tuple, set, frozenset, Sequence, Collection)
_OWN_MIDDLEWARE = "daprflow.middleware."
MISSING: Any = inspect.Parameter.empty
"""Stands where a function has no annotation."""


class Calling(Enum):
    """How a function is run."""

    ASYNC = auto()
    SYNC = auto()
    ASYNC_GENERATOR = auto()
    GENERATOR = auto()


@dataclass(frozen=True, slots=True)
class Payload:
    """The first positional parameter: its envelope, if any, and the type inside it."""

    name: str
    envelope: type | None
    type: Any


@dataclass(frozen=True, slots=True)
class Injected:
    """A parameter that is filled in by type."""

    name: str
    type: Any
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Signature:
    """Everything compiling needs to know of a handler or provider."""

    payload: Payload | None
    injected: tuple[Injected, ...]
    returns: Any
    calling: Calling
    parameters: tuple[Parameter, ...] = ()


@dataclass(frozen=True, slots=True)
class Argument:
    """A positional parameter of an actor's method; ``default`` is `MISSING` where there is none."""

    name: str
    type: Any
    default: Any


@dataclass(frozen=True, slots=True)
class MethodSignature:
    """What calling an actor's method takes and gives."""

    arguments: tuple[Argument, ...]
    injected: tuple[Injected, ...]
    returns: Any


class SignatureError(Exception):
    """A signature cannot be used; the text is the rest of a sentence about the function."""


def read_handler(
    function: Callable[..., Any], source: Source, path: Collection[str] = ()
) -> Signature:
    """Read a handler: one payload at most, everything else keyword-only.

    ``path`` are the names in the path it is invoked by.

    Raises:
        SignatureError: it takes something that cannot be given.
    """
    parameters, hints = _read(function, source)
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise SignatureError(f"takes '{parameter}'; name what it needs instead")
    if len(positional) > 1:
        names = ", ".join(f"'{p.name}'" for p in positional[1:])
        raise SignatureError(
            f"takes {names} after the payload; what is injected comes after '*' in the signature"
        )
    payload = None
    if positional:
        annotation = hints.get(positional[0].name, MISSING)
        if positional[0].name in path or _marked(annotation)[1] is not None:
            raise SignatureError(
                f"takes '{positional[0].name}', a parameter, before '*', where the payload "
                f"stands; write '*, {positional[0].name}: ...'"
            )
        payload = _payload(positional[0].name, annotation)
    keyword = [p for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY]
    given = [each for p in keyword if (each := _parameter(p, hints, path)) is not None]
    taken = {each.name for each in given}
    injected = tuple(_injected(p, hints) for p in keyword if p.name not in taken)
    returns = hints.get("return", MISSING)
    return Signature(payload, injected, returns, calling_of(function), tuple(given))


def read_fields(payload: Any) -> tuple[Parameter, ...]:
    """Return the fields of a payload that stand beside the body, named as they are encoded.

    Raises:
        SignatureError: a field is marked, but its class is none that can be taken apart.
    """
    if not isinstance(payload, type) or not getattr(payload, "__annotations__", None):
        return ()
    try:
        hints = get_type_hints(payload, include_extras=True)
    except Exception:  # noqa: BLE001 - what cannot be resolved is reported as a payload
        return ()
    marked = {
        name: (kind, marker)
        for name, annotation in hints.items()
        for kind, marker in [_marked(annotation)]
        if marker is not None
    }
    if not marked:
        return ()
    fields = getattr(msgspec.inspect.type_info(payload), "fields", None)
    if fields is None:
        raise SignatureError(
            f"takes '{payload.__qualname__}' with marked fields; only a Struct, a dataclass, a "
            "TypedDict or an attrs class can have those"
        )
    found = []
    for each in fields:
        if each.name in marked:
            kind, marker = marked[each.name]
            parameter = made(each.name, marker, kind, many=_several(kind), required=each.required)
            found.append(msgspec.structs.replace(parameter, name=each.encode_name))
    return tuple(found)


def read_provider(function: Callable[..., Any], source: Source) -> Signature:
    """Read a provider: every parameter is injected, ``returns`` is what it makes.

    Raises:
        SignatureError: it takes or makes something that cannot be told.
    """
    parameters, hints = _read(function, source)
    for parameter in parameters:
        if parameter.kind in (
            parameter.VAR_POSITIONAL,
            parameter.VAR_KEYWORD,
            parameter.POSITIONAL_ONLY,
        ):
            raise SignatureError(f"takes '{parameter}'; name what it needs, without '/' or '*'")
    calling = calling_of(function)
    made = function if isinstance(function, type) else hints.get("return", MISSING)
    if calling in (Calling.ASYNC_GENERATOR, Calling.GENERATOR):
        if get_origin(made) not in _YIELDING or not get_args(made):
            raise SignatureError("yields, so its return annotation must be AsyncIterator[...]")
        made = get_args(made)[0]
    if made is MISSING or made is type(None):
        lacks = "has no return annotation" if made is MISSING else "makes nothing"
        raise SignatureError(f"{lacks}; write the type of what it makes")
    if get_origin(made) is Annotated:
        made = get_args(made)[0]
    return Signature(None, tuple(_injected(p, hints) for p in parameters), made, calling)


def read_method(function: Callable[..., Any], source: Source) -> MethodSignature:
    """Read a method of an actor: what stands before ``*`` is sent, what comes after is injected.

    Raises:
        SignatureError: it takes something that cannot be given.
    """
    parameters, hints = _read(function, source)
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise SignatureError(f"takes '{parameter}'; name what it needs instead")
    positional = [p for p in parameters if p.kind is not inspect.Parameter.KEYWORD_ONLY][1:]
    for parameter in positional:
        if parameter.name not in hints:
            raise SignatureError(f"has the argument '{parameter.name}' without a type; annotate it")
    arguments = tuple(Argument(p.name, hints[p.name], p.default) for p in positional)
    keyword = [p for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY]
    injected = tuple(_injected(p, hints) for p in keyword)
    returns = hints.get("return", Any)
    return MethodSignature(arguments, injected, type(None) if returns is None else returns)


def read_workflow(function: Callable[..., Any], source: Source) -> Signature:
    """Read a workflow: the context, then its input, if it takes any.

    Raises:
        SignatureError: it takes something that cannot be given, or is no ``async def``.
    """
    parameters, hints = _read(function, source)
    if calling_of(function) is not Calling.ASYNC:
        raise SignatureError("is no coroutine function; write it as 'async def'")
    for parameter in parameters:
        if parameter.kind in (
            parameter.VAR_POSITIONAL,
            parameter.VAR_KEYWORD,
            parameter.KEYWORD_ONLY,
        ):
            raise SignatureError(
                f"takes '{parameter}'; a workflow takes the context and one input: what it needs "
                "besides is used in activities, which are given it"
            )
    if not parameters or len(parameters) > 2:  # noqa: PLR2004 - the context and the input
        raise SignatureError(
            f"takes {len(parameters)} parameters; write 'async def name(ctx: WorkflowContext, "
            "data: T)', or without the data"
        )
    first = parameters[0].name
    if first in hints and not _is_context(hints[first]):
        raise SignatureError(
            f"takes '{first}: {type_name(hints[first])}' first, where the context stands; write "
            "'async def name(ctx: WorkflowContext, data: T)', or without the data"
        )
    payload = None
    if len(parameters) > 1:
        payload = _payload(parameters[1].name, hints.get(parameters[1].name, MISSING))
        if payload.envelope is not None:
            raise SignatureError(f"takes '{payload.name}' as an envelope; a workflow takes a value")
    returns = hints.get("return", MISSING)
    returns = type(None) if returns in (None, NoReturn, Never) else returns
    return Signature(payload, (), returns, Calling.ASYNC)


def _is_context(annotation: Any) -> bool:
    """Whether a parameter may be given a workflow's context."""
    from daprflow.workflows.context import WorkflowContext  # noqa: PLC0415 - only workflows pay for it

    return not isinstance(annotation, type) or annotation in (Any, object, WorkflowContext)


def read_constructor(made: type, source: Source) -> tuple[Injected, ...]:
    """Read what the constructor of an actor asks for.

    Raises:
        SignatureError: it takes something that cannot be given.
    """
    if made.__init__ is object.__init__:  # type: ignore[misc]  # it is only compared
        return ()
    parameters, hints = _read(made.__init__, source)  # type: ignore[misc]  # as above
    for parameter in parameters[1:]:
        if parameter.kind in (
            parameter.VAR_POSITIONAL,
            parameter.VAR_KEYWORD,
            parameter.POSITIONAL_ONLY,
        ):
            raise SignatureError(
                f"takes '{parameter}' in its constructor; name what it needs, without '/' or '*'"
            )
    return tuple(_injected(parameter, hints) for parameter in parameters[1:])


def type_argument(made: type, generic: type) -> Any:
    """Return the ``S`` of a class that derives from ``generic[S]``; `MISSING` where it has none."""
    for base in getattr(made, "__orig_bases__", ()):
        if get_origin(base) is generic:
            return get_args(base)[0]
    for base in getattr(made, "__orig_bases__", made.__bases__):
        inner = get_origin(base) or base
        if isinstance(inner, type) and issubclass(inner, generic) and inner is not generic:
            found = type_argument(inner, generic)
            names = getattr(inner, "__parameters__", ())
            return dict(zip(names, get_args(base), strict=False)).get(found, found)
    return MISSING


def interceptor_problem(interceptor: Any) -> str:
    """Return why an interceptor cannot be called with a delivery and what comes next."""
    try:
        inspect.signature(interceptor).bind(None, None)
    except (TypeError, ValueError):
        return "cannot be called so; write 'async def name(delivery: Delivery, call: Next)'"
    return ""


def code_of(function: Any) -> CodeType | None:
    """Return the code that runs when a user's function is called, below what wraps it."""
    inner = inspect.unwrap(getattr(function, "func", function))
    plain = inner if inspect.isroutine(inner) else type(inner).__call__
    code: CodeType | None = getattr(plain, "__code__", None)
    return code


def middleware_problem(middleware: Any) -> str:
    """Return why a Starlette ``Middleware`` cannot be put around an application.

    Those of this package are made, around nothing: their constructors only look at what they get.
    """
    made = getattr(middleware, "cls", None)
    if made is None or not callable(made):
        return "is not wrapped; write 'Middleware(TheClass, option=...)'"
    args, options = middleware.args, middleware.kwargs
    try:
        inspect.signature(made).bind(None, *args, **options)
        if str(getattr(made, "__module__", "")).startswith(_OWN_MIDDLEWARE):
            made(None, *args, **options)
    except (TypeError, ValueError, MissingExtra) as error:
        return f"cannot be made so: {error}"
    return ""


def calling_of(function: Callable[..., Any]) -> Calling:
    """Return how ``function`` is run, looking through partials and callable objects."""
    if isinstance(function, type):
        return Calling.SYNC
    plain = getattr(function, "func", function)
    for candidate in (plain, plain if inspect.isroutine(plain) else type(plain).__call__):
        if inspect.iscoroutinefunction(candidate):
            return Calling.ASYNC
        if inspect.isasyncgenfunction(candidate):
            return Calling.ASYNC_GENERATOR
        if inspect.isgeneratorfunction(candidate):
            return Calling.GENERATOR
    return Calling.SYNC


def verdict_allowed(annotation: Any) -> bool:
    """Whether a topic handler may be annotated to return this: None, Status, or a mix."""
    if annotation in (None, type(None), MISSING, Status, NoReturn, Never):
        return True
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        return all(verdict_allowed(member) for member in get_args(annotation))
    if origin is Literal:
        return all(member is None or isinstance(member, Status) for member in get_args(annotation))
    if origin in _AWAITING:
        return verdict_allowed(get_args(annotation)[-1])
    if origin is Annotated:
        return verdict_allowed(get_args(annotation)[0])
    return False


def without_none(annotation: Any) -> Any:
    """Return the ``T`` of ``T | None``; any other type as it is."""
    if get_origin(annotation) not in (Union, UnionType):
        return annotation
    members = [each for each in get_args(annotation) if each is not type(None)]
    return members[0] if len(members) == 1 else annotation


def answer_of(signature: Signature) -> Any:
    """Return the type of what an invoke handler answers, seen through an awaitable."""
    returns = signature.returns
    if get_origin(returns) in _AWAITING:
        return get_args(returns)[-1]
    return type(None) if returns in (None, NoReturn, Never) else returns


def _read(
    function: Callable[..., Any], source: Source
) -> tuple[list[inspect.Parameter], dict[str, Any]]:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError) as error:
        raise SignatureError(f"has no signature that can be read: {error}") from None
    return list(signature.parameters.values()), _hints(function, source.namespace)


def _hints(function: Callable[..., Any], namespace: Mapping[str, Any] | None) -> dict[str, Any]:
    target = _target(function)
    module = sys.modules.get(getattr(target, "__module__", ""), None)
    globals_ = getattr(target, "__globals__", None) or vars(module or builtins)
    locals_ = {**(namespace or {}), **_closure(target)}
    try:
        return get_type_hints(target, globals_, locals_, include_extras=True)
    except NameError as error:
        raise SignatureError(
            f"has an annotation that cannot be resolved: {error}; import the type at run time, "
            "not under TYPE_CHECKING"
        ) from None
    except Exception as error:  # noqa: BLE001 - evaluating a user's annotation runs any code
        raise SignatureError(
            f"has an annotation that cannot be resolved: {type(error).__name__}: {error}"
        ) from None


def _target(function: Any) -> Any:
    """Return what carries the annotations: the plain function inside wrappers and objects."""
    inner = inspect.unwrap(getattr(function, "func", function))
    if isinstance(inner, type):
        return inner.__init__  # type: ignore[misc]  # the annotations of a class made by calling it
    return inner if inspect.isroutine(inner) else type(inner).__call__


def _closure(target: Any) -> dict[str, Any]:
    """Return the names a nested function closes over, as far as they are bound by now."""
    code = getattr(getattr(target, "__func__", target), "__code__", None)
    cells = getattr(getattr(target, "__func__", target), "__closure__", None)
    found: dict[str, Any] = {}
    for name, cell in zip(getattr(code, "co_freevars", ()), cells or (), strict=False):
        try:
            found[name] = cell.cell_contents
        except ValueError:
            continue
    return found


def _marked(annotation: Any) -> tuple[Any, Query | Header | Path | None]:
    """Return an annotation without its marker, and the marker."""
    if get_origin(annotation) is not Annotated:
        return annotation, None
    bare, *metadata = get_args(annotation)
    markers = [each for each in metadata if isinstance(each, _MARKERS) or each in _MARKERS]
    if not markers:
        return annotation, None
    rest = [each for each in metadata if not any(each is one for one in markers)]
    marker = markers[0]() if isinstance(markers[0], type) else markers[0]
    return (Annotated[bare, *rest] if rest else bare), marker


def _several(kind: Any) -> bool:
    bare = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    bare = without_none(bare)
    return bare in _SEVERAL or get_origin(bare) in _SEVERAL


def _parameter(
    parameter: inspect.Parameter, hints: Mapping[str, Any], path: Collection[str]
) -> Parameter | None:
    """Return a parameter of the request; None where it is injected."""
    name = parameter.name
    kind, marker = _marked(hints.get(name, MISSING))
    if name in path and (marker is None or isinstance(marker, Path)):
        if kind is MISSING:
            raise SignatureError(f"has path parameter '{name}' without a type; write '{name}: str'")
        return Parameter(name, Place.PATH, name, kind)
    if marker is None:
        return None
    required = parameter.default is MISSING
    return made(name, marker, kind, many=_several(kind), required=required)


def _payload(name: str, annotation: Any) -> Payload:
    bare = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
    origin = get_origin(bare)
    inside = get_args(bare)[0] if origin in _ENVELOPES else annotation
    if _holds_envelope(inside) or (origin in _ENVELOPES and _is_envelope(inside)):
        raise SignatureError(
            f"takes '{name}' with an envelope inside another type; "
            "write CloudEvent[...], BindingEvent[...] or Batch[...] around all of it"
        )
    if origin in _ENVELOPES:
        return Payload(name, origin, inside)
    if bare in _ENVELOPES:
        return Payload(name, bare, MISSING)
    return Payload(name, None, annotation)


def _is_envelope(annotation: Any) -> bool:
    return annotation in _ENVELOPES or get_origin(annotation) in _ENVELOPES


def _holds_envelope(annotation: Any) -> bool:
    """Whether an envelope is a part of a type; it would be looked for inside the data."""
    parts = get_args(annotation) if get_origin(annotation) is not Literal else ()
    return any(
        _is_envelope(part) or _holds_envelope(part) for part in parts if not isinstance(part, list)
    )


def _injected(parameter: inspect.Parameter, hints: Mapping[str, Any]) -> Injected:
    annotation = hints.get(parameter.name, MISSING)
    optional = parameter.default is not MISSING
    if annotation is MISSING and not optional:
        raise SignatureError(
            f"has parameter '{parameter.name}' without a type; what is injected is found by type"
        )
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    return Injected(parameter.name, annotation, optional)
