"""A workflow as it runs: its function, and how its input and result travel."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from daprflow.workflows.values import Decode, Values


@dataclass(frozen=True, slots=True)
class WorkflowPlan:
    """One compiled workflow function.

    Attributes:
        title: how messages call it, with its place.
        takes_input: whether the function takes more than the context.
        version: empty for a workflow without named versions.
    """

    name: str
    title: str
    function: Callable[..., Coroutine[Any, Any, Any]]
    decode: Decode
    takes_input: bool = True
    version: str = ""


@dataclass(frozen=True, slots=True)
class Workflows:
    """Every workflow of an app: by name, and below that by version; "" is the default one."""

    plans: Mapping[str, Mapping[str, WorkflowPlan]]
    values: Values
    app_id: str = ""

    def find(self, name: str, version: str) -> WorkflowPlan | None:
        """Return the version of a workflow that runs; an empty one is the default."""
        return self.plans.get(name, {}).get(version)

    @property
    def names(self) -> tuple[str, ...]:
        """The names, for messages."""
        return tuple(self.plans)
