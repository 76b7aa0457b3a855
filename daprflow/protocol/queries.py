"""Dapr's query language for state: filters, order and pages, written and read."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec

from daprflow.protocol.gojson import GoJsonError, decode_go
from daprflow.protocol.goscan import explain_whole

Scalar: TypeAlias = str | float | bool | None
_FEWEST = 2


class QueryError(ValueError):
    """A query that makes no sense; the text is the runtime's."""


class Filter(msgspec.Struct, frozen=True):
    """A condition on stored values; join some with ``&`` and ``|``."""

    def __and__(self, other: "Filter") -> "AND":
        return AND((*_parts(self, AND), *_parts(other, AND)))

    def __or__(self, other: "Filter") -> "OR":
        return OR((*_parts(self, OR), *_parts(other, OR)))


class Comparison(Filter, frozen=True):
    """Compares what stands at a path, such as ``person.org``, with a value."""

    key: str
    value: Scalar


class EQ(Comparison, frozen=True):
    """Is equal to the value.

    Example:
        ```python
        page = await client.state("statestore").query(Order, EQ("id", "7"))
        ```
    """


class NEQ(Comparison, frozen=True):
    """Is not equal to the value.

    Example:
        ```python
        page = await client.state("statestore").query(Order, NEQ("id", "7"))
        ```
    """


class GT(Comparison, frozen=True):
    """Is a number above the value.

    Example:
        ```python
        page = await client.state("statestore").query(Order, GT("total", 100))
        ```
    """


class GTE(Comparison, frozen=True):
    """Is a number not below the value.

    Example:
        ```python
        page = await client.state("statestore").query(Order, GTE("total", 100))
        ```
    """


class LT(Comparison, frozen=True):
    """Is a number below the value.

    Example:
        ```python
        page = await client.state("statestore").query(Order, LT("total", 100))
        ```
    """


class LTE(Comparison, frozen=True):
    """Is a number not above the value.

    Example:
        ```python
        page = await client.state("statestore").query(Order, LTE("total", 100))
        ```
    """


class IN(Filter, frozen=True):
    """Is equal to one of the values.

    Attributes:
        key: the path in the value, such as ``person.org``.
        values: those that match.

    Example:
        ```python
        page = await client.state("statestore").query(Order, IN("id", ("7", "8")))
        ```
    """

    key: str
    values: tuple[Scalar, ...]


class AND(Filter, frozen=True):
    """Every filter holds; at least two.

    Attributes:
        filters: what has to hold.

    Example:
        ```python
        where = AND((EQ("city", "Rome"), GT("total", 100)))
        ```
    """

    filters: tuple[Filter, ...]


class OR(Filter, frozen=True):
    """A filter holds; at least two.

    Attributes:
        filters: of which one has to hold.

    Example:
        ```python
        where = OR((EQ("city", "Rome"), EQ("city", "Oslo")))
        ```
    """

    filters: tuple[Filter, ...]


class Sorting(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One step of an order; ``order`` is ``ASC`` or ``DESC``.

    Attributes:
        key: the path in the value, such as ``person.id``.

    Example:
        ```python
        page = await client.state("statestore").query(Order, sort=[Sorting("total", "DESC")])
        ```
    """

    key: str = ""
    order: str = ""


class Paging(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Which part of the results: at most ``limit`` (0: all), after those that ``token`` ends."""

    limit: int = 0
    token: str = ""


class Query(msgspec.Struct, frozen=True):
    """A query; without a filter it is everything."""

    filter: Filter | None = None
    sort: tuple[Sorting, ...] = ()
    page: Paging = Paging()


class _Document(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    filter: dict[str, Any] | None = None
    sort: tuple[Sorting, ...] | None = None
    page: Paging | None = None


_COMPARISONS: Mapping[str, type[Comparison]] = {
    kind.__name__: kind for kind in (EQ, NEQ, GT, GTE, LT, LTE)
}
_JUNCTIONS: Mapping[str, type[AND] | type[OR]] = {"AND": AND, "OR": OR}
_documents = msgspec.json.Decoder(_Document | None)


def encode(query: Query) -> bytes:
    """Return a query as JSON."""
    document = _Document(
        None if query.filter is None else _written(query.filter),
        query.sort or None,
        None if query.page == Paging() else query.page,
    )
    return msgspec.json.encode(document)


def decode(body: bytes) -> Query:
    """Read a query.

    Raises:
        QueryError: it is none; the text is the runtime's.
    """
    if (problem := explain_whole(body)) is not None:
        raise QueryError(problem)
    try:
        document = decode_go(_documents, body, "query.QueryFields", "QueryFields") or _Document()
    except GoJsonError as error:
        raise QueryError(str(error)) from None
    return Query(
        _read(document.filter) if document.filter else None,
        document.sort or (),
        document.page or Paging(),
    )


def _parts(filter_: Filter, kind: type[AND] | type[OR]) -> tuple[Filter, ...]:
    return filter_.filters if isinstance(filter_, kind) else (filter_,)


def _written(filter_: Filter) -> dict[str, Any]:
    name = type(filter_).__name__
    if isinstance(filter_, AND | OR):
        return {name: [_written(each) for each in filter_.filters]}
    if isinstance(filter_, IN):
        return {name: {filter_.key: filter_.values}}
    if isinstance(filter_, Comparison):
        return {name: {filter_.key: filter_.value}}
    raise TypeError(f"a filter is EQ, NEQ, GT, GTE, LT, LTE, IN, AND or OR, not '{name}'")


def _read(unit: object) -> Filter:
    if not isinstance(unit, dict):
        raise QueryError("filter unit must be a map")
    if len(unit) != 1:
        raise QueryError("filter unit must have a single element")
    ((name, argument),) = unit.items()
    if name in _JUNCTIONS:
        return _JUNCTIONS[name](_several(name, argument))
    if name != "IN" and name not in _COMPARISONS:
        raise QueryError(f'unsupported filter "{name}"')
    if not isinstance(argument, dict):
        raise QueryError(f"{name} filter must be a map")
    if len(argument) != 1:
        raise QueryError(f"{name} filter must contain a single key/value pair")
    ((key, value),) = argument.items()
    if name != "IN":
        return _COMPARISONS[name](key, value)
    if not isinstance(value, list):
        raise QueryError("IN filter value must be an array")
    return IN(key, tuple(value))


def _several(name: str, argument: object) -> tuple[Filter, ...]:
    if not isinstance(argument, list):
        raise QueryError(f"{name} filter must be an array")
    if len(argument) < _FEWEST:
        raise QueryError(f"{name} filter must contain at least two entries")
    return tuple(_read(each) for each in argument)
