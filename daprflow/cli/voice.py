"""How the commands speak: the banner, one-line messages, logs."""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TextIO

from daprflow.launcher.sidecar import AppSpec, SidecarInfo

STANDARD_ERROR = 2


def printable(text: str) -> str:
    """Neutralise control characters in text that others chose; line breaks stay."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def counted(number: int, noun: str) -> str:
    """Write a number with its noun, ``1 handler`` or ``2 handlers``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def complain(message: str) -> None:
    """Print an error, prefixed once."""
    put(sys.stderr, f"daprflow: {printable(message)}\n")


def keep_standard_streams() -> None:
    """Open ``/dev/null`` where a standard stream was closed, before a socket takes its number."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= STANDARD_ERROR:
        os.set_inheritable(descriptor, True)  # noqa: FBT003 - takes no keyword
    os.close(descriptor)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(STANDARD_ERROR, "w", closefd=False)


def put(stream: TextIO, text: str) -> None:
    """Write at once; once nobody reads the stream any more, or a disk is full, write to nowhere."""
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        if not isinstance(error, BrokenPipeError) and stream is not sys.stderr:
            complain(f"cannot write the output, which is lost: {error.strerror}")


class ConsoleVoice:
    """Speaks to a terminal; see `daprflow.launcher.supervisor.Voice`."""

    def ready(self, app: AppSpec, info: SidecarInfo, seconds: float) -> None:
        """Print the banner."""
        with contextlib.suppress(SystemExit):  # rich ends the program when its reader has gone
            self._banner(app, info, seconds)
        for note in info.notes:
            self.warn(note)

    def _banner(self, app: AppSpec, info: SidecarInfo, seconds: float) -> None:
        from rich.console import Console  # noqa: PLC0415 - imported while the app starts

        console = Console(markup=False, highlight=False, emoji=False, soft_wrap=True)
        head = f"app '{printable(app.app_id)}' is ready after {seconds:.1f} s"
        console.print(head, style="bold green")
        for name, text in _facts(app, info):
            console.print(f"  {name:<10}{printable(text)}")
        console.print("  Ctrl-C ends it, twice at once", style="dim")
        sys.stdout.flush()

    def say(self, line: str) -> None:
        """Print one line."""
        put(sys.stdout, f"daprflow: {printable(line)}\n")

    def log(self, line: str) -> None:
        """Print a log line of another program."""
        put(sys.stderr, printable(line) + "\n")

    def warn(self, line: str) -> None:
        """Print one line on standard error."""
        complain(line)


def _facts(app: AppSpec, info: SidecarInfo) -> Iterator[tuple[str, str]]:
    yield "sidecar", f"{info.kind} ({info.reason})"
    ports = [("Dapr HTTP", info.http_port), ("Dapr gRPC", info.grpc_port), ("app", app.app_port)]
    yield "ports", ", ".join(f"{name} {port}" for name, port in ports if port is not None)
    yield "data", info.data
    for index, handler in enumerate(app.handlers):
        name = f"{handler.kind} {handler.name}"
        yield "" if index else "handlers", f"{name:<32} {handler.handler}"
