"""Whether what a handler takes agrees with what its topic carries, as far as types tell."""

from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin


def contradicts(wanted: Any, carried: Any) -> bool:
    """Whether a handler's type and its topic's differ, raw and open types aside."""
    return not (carried is None or wanted in (bytes, str) or _accepts(wanted, carried))


def _accepts(wanted: Any, carried: Any) -> bool:
    """Whether a value of ``carried`` may be one of ``wanted``; True where nobody can tell."""
    wanted, carried = _bare(wanted), _bare(carried)
    if wanted == carried or _is_open(wanted) or _is_open(carried):
        return True
    if _is_union(wanted) or _is_union(carried):
        return all(any(_accepts(w, c) for w in _members(wanted)) for c in _members(carried))
    outer, inner = get_origin(wanted) or wanted, get_origin(carried) or carried
    if not (isinstance(outer, type) and isinstance(inner, type)):
        return True
    if outer is inner:
        return _same_arguments(get_args(wanted), get_args(carried))
    if outer is float and inner is int:
        return True
    return _is_kind_of(inner, outer)


def _same_arguments(wanted: tuple[Any, ...], carried: tuple[Any, ...]) -> bool:
    if not wanted or not carried or Ellipsis in (*wanted, *carried):
        return True
    return len(wanted) == len(carried) and all(map(_accepts, wanted, carried))


def _is_kind_of(inner: type, outer: type) -> bool:
    if outer in inner.__mro__:
        return True
    try:
        return issubclass(inner, outer)  # abstract classes, such as Sequence for a list
    except TypeError:  # a TypedDict or a Protocol refuses to be asked
        return False


def _bare(annotation: Any) -> Any:
    if get_origin(annotation) is Annotated:
        return get_args(annotation)[0]
    return type(None) if annotation is None else annotation


def _is_open(annotation: Any) -> bool:
    return (
        annotation in (Any, object)
        or isinstance(annotation, TypeVar)
        or get_origin(annotation) is Literal
    )


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, UnionType)


def _members(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if _is_union(annotation) else (annotation,)
