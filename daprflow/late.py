"""Names of a package that are imported when they are first asked for."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def late(namespace: dict[str, Any], names: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a package's ``__getattr__``; type checkers see the same imports, as plain ones.

    Args:
        namespace: the package's ``globals()``, which keeps what was imported.
        names: each name, and the module that has it.
    """

    def attribute(name: str) -> Any:
        module = names.get(name)
        if module is None:
            raise AttributeError(f"module '{namespace['__name__']}' has no attribute '{name}'")
        found = namespace[name] = getattr(import_module(module), name)
        return found

    return attribute
