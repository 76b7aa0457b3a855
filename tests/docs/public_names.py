"""Every name that users of daprflow may import, found in the code."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Any

import daprflow
from daprflow.errors import DaprFlowError

INNER = frozenset(
    {"cli", "launcher", "manifests", "protocol", "sidecar", "templates", "transports"}
)
"""Parts that nobody imports: programs, and what the public ones are made of."""


@dataclass(frozen=True, slots=True)
class Documented:
    """A class, function or method with a docstring that an editor shows.

    Attributes:
        name: where it is defined, such as ``daprflow.client.state.Store.get``.
        value: the class or function.
        public: under which name users find it, such as ``daprflow.Store.get``.
    """

    name: str
    value: Any
    public: str


def packages() -> Sequence[ModuleType]:
    """The package and the parts of it that say what they export."""
    names = [each.name for each in pkgutil.iter_modules(daprflow.__path__)]
    parts = [
        importlib.import_module(f"daprflow.{name}")
        for name in sorted(names)
        if name not in INNER and not name.startswith("_")
    ]
    return [daprflow, *(part for part in parts if hasattr(part, "__all__"))]


def exported() -> Mapping[str, Any]:
    """Every exported value, by the shortest name that it has."""
    found: dict[str, Any] = {}
    seen: set[int] = set()
    for package in packages():
        for name in package.__all__:
            value = getattr(package, name)
            if id(value) not in seen:
                seen.add(id(value))
                found[f"{package.__name__}.{name}"] = value
    return found


def errors() -> Sequence[type[BaseException]]:
    """Every exception that is exported."""
    values = exported().values()
    return [each for each in values if isinstance(each, type) and issubclass(each, BaseException)]


def inner_errors() -> Sequence[type[DaprFlowError]]:
    """Every error of daprflow that is not exported, but for those of commands."""
    for each in pkgutil.walk_packages(daprflow.__path__, "daprflow."):
        if not set(each.name.split(".")) & (INNER - {"transports"} | {"__main__"}):
            importlib.import_module(each.name)
    known, found = set(errors()), _below(DaprFlowError)
    inner = {each for each in found if each not in known and not each.__name__.startswith("_")}
    return sorted(
        (each for each in inner if not set(each.__module__.split(".")) & (INNER - {"transports"})),
        key=lambda each: each.__name__,
    )


def _below(kind: type[DaprFlowError]) -> set[type[DaprFlowError]]:
    return {each for one in kind.__subclasses__() for each in (one, *_below(one))}


def documented() -> Sequence[Documented]:
    """Every exported class and function, and the public methods of the classes, bases included."""
    found: dict[str, Documented] = {}
    for public, value in exported().items():
        for each in _with_methods(public, value):
            found.setdefault(each.name, each)
    return list(found.values())


def _with_methods(public: str, value: Any) -> Iterator[Documented]:
    if not isinstance(value, type | FunctionType) or not _is_ours(value):
        return
    yield Documented(_place(value), value, public)
    if not isinstance(value, type):
        return
    for base in value.__mro__:
        for name, member in vars(base).items() if _is_ours(base) else ():
            function = inspect.unwrap(getattr(member, "__func__", member))
            if isinstance(function, FunctionType) and _is_ours(function) and name[0] != "_":
                yield Documented(_place(function), function, f"{public}.{name}")


def _is_ours(value: Any) -> bool:
    return bool(value.__module__.startswith("daprflow"))


def _place(value: Any) -> str:
    return f"{value.__module__}.{value.__qualname__}"
