"""Breakers by what they are for: the least used go when there are too many."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from daprflow.sidecar.resiliency.breaker import Breaker
from daprflow.sidecar.resiliency.catalog import PolicySpec

V = TypeVar("V")


class Recent(Generic[V]):
    """A bounded map that forgets what was not asked for the longest."""

    __slots__ = ("_items", "_limit")

    def __init__(self, limit: int) -> None:
        self._items: OrderedDict[str, V] = OrderedDict()
        self._limit = max(1, limit)

    def get(self, key: str, make: Callable[[], V]) -> V:
        """Return what is kept under ``key``, made now if it is new."""
        found = self._items.get(key)
        if found is None:
            found = self._items[key] = make()
            if len(self._items) > self._limit:
                self._items.popitem(last=False)
        else:
            self._items.move_to_end(key)
        return found

    def retain(self, wanted: Callable[[str, V], bool]) -> None:
        """Forget what is not ``wanted``."""
        for key in [key for key, value in self._items.items() if not wanted(key, value)]:
            del self._items[key]


@dataclass(frozen=True, slots=True)
class Endpoints:
    """What applies to calls on one app, and the breaker of each of its methods."""

    spec: PolicySpec
    breakers: Recent[Breaker] = field(repr=False)

    def fits(self, spec: PolicySpec) -> bool:
        """Whether the breakers can be kept under a new ``spec``."""
        same = self.spec.breaker == spec.breaker and self.spec.breakers == spec.breakers
        return same and spec.breaker is not None


@dataclass(frozen=True, slots=True)
class ComponentBreaker:
    """The breaker of a component of one kind, such as "state"."""

    kind: str
    breaker: Breaker
