"""Components under an outbound policy: the calls on them, and nothing else, go through it."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from daprflow.sidecar.components.base import (
    BindingAnswer,
    Component,
    ComponentError,
    EtagConflict,
    EtagInvalid,
    StateWrite,
)
from daprflow.sidecar.resiliency.breaker import Refused
from daprflow.sidecar.resiliency.deadline import TimedOut
from daprflow.sidecar.resiliency.policy import LastingFailure, Policy, StoppedRetrying

OPERATIONS: Mapping[str, tuple[str, ...]] = {
    "bindings": ("invoke",),
    "configuration": ("get", "subscribe"),
    "conversation": ("converse",),
    "crypto": ("wrap", "unwrap"),
    "lock": ("try_lock", "unlock"),
    "pubsub": ("publish",),
    "secretstores": ("get", "bulk"),
    "state": ("get", "get_many", "write", "transact", "query"),
}
"""The methods of each kind of component that count as calls on it."""

_OWN = ("dead_letter_after", "keeps_ttl", "keys", "missing_last", "serial")
"""What is taken over as it is: since Python 3.12 isinstance does not ask ``__getattr__``."""

Operation = Callable[..., Awaitable[Any]]


class Guarded:
    """A component as one app uses it, under the policy of the moment.

    Its operations are attributes of the instance: the component's own where no policy applies, so
    that such a call costs nothing more. Everything else is the component's.
    """

    def __init__(self, kind: str, component: Component) -> None:
        self.component = component
        self._operations = {
            name: cast("Operation", getattr(component, name))
            for name in OPERATIONS.get(kind, ())
            if hasattr(component, name)
        }
        for name in _OWN:
            if hasattr(component, name):
                setattr(self, name, getattr(component, name))
        self.apply(None)

    def apply(self, policy: Policy | None) -> None:
        """Call through ``policy`` from now on; None means directly."""
        for name, operation in self._operations.items():
            setattr(self, name, operation if policy is None else _through(policy, operation))

    def __getattr__(self, name: str) -> Any:
        """Give whatever else the component has."""
        return getattr(self.component, name)


def unguarded(component: Component) -> Component:
    """Return the component itself, behind its guards if it has some."""
    while isinstance(component, Guarded):
        component = component.component
    return component


class _FailedAnswer(Exception):  # noqa: N818 - named for what happened
    """A binding failed and gave an answer with it."""

    def __init__(self, answer: BindingAnswer) -> None:
        super().__init__(answer.error)
        self.answer = answer


def _through(policy: Policy, operation: Operation) -> Operation:
    async def call(*args: Any, **options: Any) -> Any:
        async def attempt() -> Any:
            try:
                answer = await operation(*args, **options)
            except (EtagConflict, EtagInvalid) as error:
                if _saves(args):
                    raise LastingFailure(str(error)) from error
                raise
            if isinstance(answer, BindingAnswer) and answer.error:
                raise _FailedAnswer(answer)
            return answer

        try:
            return await policy.run(attempt)
        except _FailedAnswer as failed:
            return failed.answer
        except (Refused, TimedOut) as error:
            raise ComponentError(str(error)) from error
        except (LastingFailure, StoppedRetrying) as error:
            if isinstance(error.__cause__, _FailedAnswer):
                return error.__cause__.answer
            raise (error.__cause__ or error) from None

    return call


def _saves(args: tuple[Any, ...]) -> bool:
    """Whether a call is a save: the real runtime tries a delete and a transaction again."""
    return bool(args) and isinstance(args[0], StateWrite) and args[0].data is not None
