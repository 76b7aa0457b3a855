"""What looks at a workflow's code while it runs; in production nothing does."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from daprflow.workflows.runner import Runner


class Guard(Protocol):
    """Looks for what a workflow must not do while its code runs."""

    def watching(self, runner: Runner, /) -> AbstractContextManager[None]:
        """Watch until the block ends."""
        ...


class _NoGuard:
    """Looks for nothing."""

    @contextmanager
    def watching(self, _: Runner, /) -> Iterator[None]:
        """Do nothing."""
        yield


NO_GUARD = _NoGuard()
