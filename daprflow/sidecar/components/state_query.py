"""Searches stored JSON with Dapr's query language, as ``state.mongodb`` does."""

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from daprflow.protocol.queries import (
    AND,
    EQ,
    GT,
    GTE,
    IN,
    LT,
    LTE,
    NEQ,
    OR,
    Comparison,
    Filter,
    Paging,
    Query,
    Scalar,
)
from daprflow.sidecar.components.base import ComponentError, FoundState, StoredValue
from daprflow.sidecar.components.ttl import parse_int

Test = Callable[[Any], bool]
"""Tells whether a document is meant."""

_ORDERS: Mapping[type[Comparison], Callable[[Any, Any], bool]] = {
    GT: operator.gt,
    GTE: operator.ge,
    LT: operator.lt,
    LTE: operator.le,
}
_RANKS: Mapping[type, int] = {type(None): 0, int: 1, float: 1, str: 2, dict: 3, list: 4, bool: 5}
_decode = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class _Candidate:
    key: str
    stored: StoredValue
    document: Any


def search(query: Query, items: Iterable[tuple[str, StoredValue]]) -> FoundState:
    """Return the part of ``items`` that ``query`` asks for.

    Paths such as ``a.b`` lead into objects, and into each object of an array. Values compare with
    values of their own kind; the orders with numbers alone.

    Raises:
        ComponentError: the query cannot be done; the text is that of ``state.mongodb``.
    """
    test = _test(query.filter)
    found = [each for each in _documents(items) if test(each.document)]
    for step in reversed(query.sort):
        path = step.key.split(".")
        found.sort(key=lambda each: _rank(each.document, path), reverse=step.order == "DESC")
    return _page(query.page, found)


def _page(page: Paging, found: list[_Candidate]) -> FoundState:
    skip = parse_int(page.token, "ParseInt") if page.token else 0
    if skip < 0:
        raise ComponentError("skip value must be non-negative")
    found = found[skip:]
    if page.limit > 0:
        found = found[: page.limit]
    token = str(skip + len(found)) if page.limit > 0 else ""
    return FoundState(tuple((each.key, each.stored) for each in found), token)


def _documents(items: Iterable[tuple[str, StoredValue]]) -> Iterator[_Candidate]:
    for key, stored in items:
        try:
            document = _decode(stored.data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            document = stored.data.decode("utf-8", "replace")
        yield _Candidate(key, stored, document)


def _test(filter_: Filter | None) -> Test:
    """Return what ``filter_`` says of a document."""
    if filter_ is None:
        return lambda _: True
    if isinstance(filter_, AND | OR):
        tests = [_test(each) for each in filter_.filters]
        join = all if isinstance(filter_, AND) else any
        return lambda document: join(test(document) for test in tests)
    if isinstance(filter_, IN):
        if not filter_.values:
            raise ComponentError(f'empty IN operator for key "{filter_.key}"')
        return _equals(filter_.key, filter_.values)
    if isinstance(filter_, EQ):
        return _equals(filter_.key, (filter_.value,))
    if isinstance(filter_, NEQ):
        equal = _equals(filter_.key, (filter_.value,))
        return lambda document: not equal(document)
    if isinstance(filter_, Comparison):
        return _ordered(filter_)
    raise ComponentError(f"unsupported filter type {type(filter_).__name__}")


def _equals(key: str, values: Iterable[Scalar]) -> Test:
    path = key.split(".")
    wanted = frozenset(_comparable(key, value) for value in values)

    def test(document: Any) -> bool:
        return any(
            (_RANKS[type(value)], value) in wanted
            for value in _at(document, path)
            if not isinstance(value, dict | list)
        )

    return test


def _ordered(filter_: Comparison) -> Test:
    limit, compare = filter_.value, _ORDERS[type(filter_)]
    if isinstance(limit, str):
        raise ComponentError(f"unsupported type of value {limit}; string type not permitted")
    rank, _ = _comparable(filter_.key, limit)
    path = filter_.key.split(".")

    def test(document: Any) -> bool:
        return any(
            _RANKS[type(value)] == rank and compare(value, limit) for value in _at(document, path)
        )

    return test


def _comparable(key: str, value: object) -> tuple[int, Any]:
    if not isinstance(value, str | int | float):
        raise ComponentError(
            f"unsupported type of value for key '{key}'; give a string, a number or a boolean"
        )
    return _RANKS[type(value)], value


def _at(value: Any, path: list[str], depth: int = 0) -> Iterator[Any]:
    """Give what stands at ``path``; every element of an array counts."""
    if depth == len(path):
        yield value
        if isinstance(value, list):
            yield from value
    elif isinstance(value, dict):
        if path[depth] in value:
            yield from _at(value[path[depth]], path, depth + 1)
    elif isinstance(value, list):
        for element in value:
            if isinstance(element, dict):
                yield from _at(element, path, depth)


def _rank(document: Any, path: list[str]) -> tuple[int, Any]:
    """Return where a document stands in an order: what is missing first, then by kind."""
    value = next(_at(document, path), None)
    rank = _RANKS[type(value)]
    if isinstance(value, dict | list):
        return rank, msgspec.json.encode(value, order="sorted")
    return rank, 0 if value is None else value
