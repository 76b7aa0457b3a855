"""How the commands speak: the banner, one-line messages, logs."""

import sys
from collections.abc import Iterator

from daprflow.launcher.sidecar import AppSpec, SidecarInfo


def printable(text: str) -> str:
    """Neutralise control characters in text that others chose; line breaks stay."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def complain(message: str) -> None:
    """Print an error, prefixed once."""
    sys.stderr.write(f"daprflow: {printable(message)}\n")
    sys.stderr.flush()


class ConsoleVoice:
    """Speaks to a terminal; see `daprflow.launcher.supervisor.Voice`."""

    def ready(self, app: AppSpec, info: SidecarInfo, seconds: float) -> None:
        """Print the banner."""
        from rich.console import Console  # noqa: PLC0415 - imported while the app starts

        console = Console(markup=False, highlight=False, emoji=False, soft_wrap=True)
        head = f"app '{printable(app.app_id)}' is ready after {seconds:.1f} s"
        console.print(head, style="bold green")
        for name, text in _facts(app, info):
            console.print(f"  {name:<10}{printable(text)}")
        console.print("  Ctrl-C ends it, twice at once", style="dim")
        for note in info.notes:
            self.warn(note)
        sys.stdout.flush()

    def say(self, line: str) -> None:
        """Print one line."""
        sys.stdout.write(f"daprflow: {printable(line)}\n")
        sys.stdout.flush()

    def log(self, line: str) -> None:
        """Print a log line of another program."""
        sys.stderr.write(printable(line) + "\n")

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
