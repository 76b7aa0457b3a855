"""Searching a state store with Dapr's query language (alpha)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Generic, TypeVar

import msgspec

from daprflow.client.caller import Caller
from daprflow.client.state_many import Item
from daprflow.client.state_values import decode
from daprflow.errors import SidecarError
from daprflow.protocol import queries
from daprflow.protocol import state as calls
from daprflow.protocol.queries import Filter, Paging, Query, Sorting
from daprflow.protocol.state import QueryAnswer

T = TypeVar("T")

NO_CONTENT = 204


class Page(msgspec.Struct, Generic[T], frozen=True):
    """What a query found.

    Attributes:
        items: by key, in the order that was asked for.
        failed: the error of each key whose value could not be read.
        token: give it to the next query for what follows; empty where a store has none.

    Example:
        ```python
        page = await client.state("statestore").query(Order, EQ("id", "7"))
        print(list(page.items), page.token)
        ```
    """

    items: dict[str, Item[T]] = {}
    failed: dict[str, SidecarError | msgspec.ValidationError] = {}
    token: str = ""

    def __iter__(self) -> Iterator[T]:
        """Give the values."""
        return (item.value for item in self.items.values())


def ascending(*keys: str) -> tuple[Sorting, ...]:
    """Return the order by the values at these paths, smallest first.

    Example:
        ```python
        page = await client.state("statestore").query(Order, sort=ascending("total"))
        ```
    """
    return tuple(Sorting(key, "ASC") for key in keys)


def descending(*keys: str) -> tuple[Sorting, ...]:
    """Return the order by the values at these paths, largest first.

    Example:
        ```python
        page = await client.state("statestore").query(Order, sort=descending("total"), limit=10)
        ```
    """
    return tuple(Sorting(key, "DESC") for key in keys)


async def search(
    caller: Caller, store: str, payload: type[T], query: Query, metadata: Mapping[str, str]
) -> Page[T]:
    """Do one query.

    Raises:
        SidecarError: the store cannot be searched, or refused this query.
    """
    request = calls.query(store, queries.encode(query), metadata)
    response = await caller.call(request)
    if response.status == NO_CONTENT:
        return Page()
    answer = caller.document(response, QueryAnswer, "the answer to a query")
    items: dict[str, Item[T]] = {}
    failed: dict[str, SidecarError | msgspec.ValidationError] = {}
    for entry in answer.results:
        what = f"the value of key '{entry.key}' in state store '{store}'"
        if entry.error:
            failed[entry.key] = SidecarError(f"{what} could not be read: {entry.error}")
            continue
        try:
            value = decode(caller, bytes(entry.data), payload, what)
        except msgspec.ValidationError as error:
            failed[entry.key] = error
        else:
            items[entry.key] = Item(value, entry.etag or "")
    return Page(items, failed, answer.token)


def query_of(where: Filter | None, sort: Sequence[Sorting], limit: int | None, token: str) -> Query:
    """Return a query.

    Raises:
        ValueError: ``limit`` is not above 0.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"a query's limit is {limit}; give 1 or more, or None for all")
    return Query(where, tuple(sort), Paging(limit or 0, token))
