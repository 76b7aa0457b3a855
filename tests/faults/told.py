"""What is told of a fault: log lines and texts of errors."""

import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

Lines = list[str]
Scenario = Callable[[Path], Awaitable[Lines]]


class Capture(logging.Handler):
    """Keeps what is logged, as it is printed."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: Lines = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one record."""
        self.lines.append(record.getMessage())


@contextlib.contextmanager
def logged() -> Iterator[Lines]:
    """Give what the package logs meanwhile."""
    handler, logger = Capture(), logging.getLogger("daprflow")
    logger.addHandler(handler)
    try:
        yield handler.lines
    finally:
        logger.removeHandler(handler)


async def raised(error: type[Exception], work: Awaitable[object]) -> Lines:
    """Return the text of the error that ``work`` ends with."""
    try:
        await work
    except error as found:
        return [str(found)]
    return []
