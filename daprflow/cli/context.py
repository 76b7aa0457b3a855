"""What every command finds in its context."""

from dataclasses import dataclass

import typer


@dataclass(frozen=True, slots=True)
class Invocation:
    """How the program was called.

    Attributes:
        command: what followed ``--``; None where there was no ``--``.
        started: when, on `time.monotonic`.
    """

    command: tuple[str, ...] | None
    started: float


def invocation(context: typer.Context) -> Invocation:
    """Return how the program was called."""
    found = context.find_object(Invocation)
    return found if found is not None else Invocation(None, 0.0)
