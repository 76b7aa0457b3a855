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
class WorkflowVersions:
    """The versions of one workflow.

    Attributes:
        default: what new instances run.
        named: every version by its name; the one without a name is under "".
    """

    default: WorkflowPlan
    named: Mapping[str, WorkflowPlan]

    def find(self, version: str, *, begun: bool) -> WorkflowPlan | None:
        """Return the version of an instance; None where there is none of that name.

        Args:
            version: what its history says; empty where it says none.
            begun: whether it began before: without a version, it is older than all named ones.
        """
        if version:
            return self.named.get(version)
        return self.named.get("", self.default) if begun else self.default


@dataclass(frozen=True, slots=True)
class Workflows:
    """Every workflow of an app, by name, and how their values travel."""

    plans: Mapping[str, WorkflowVersions]
    values: Values
