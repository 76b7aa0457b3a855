"""How the commands speak: the banner, one-line messages, logs."""

import sys

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
        from rich.table import Table  # noqa: PLC0415

        ports = f"Dapr HTTP {info.http_port}"
        if info.grpc_port is not None:
            ports += f", Dapr gRPC {info.grpc_port}"
        if app.app_port is not None:
            ports += f", app {app.app_port}"
        table = Table.grid(padding=(0, 2))
        table.add_row("  sidecar", f"{info.kind} ({info.reason})")
        table.add_row("  ports", ports)
        table.add_row("  data", info.data)
        for index, handler in enumerate(app.handlers):
            name = f"{handler.kind} {handler.name}"
            table.add_row("" if index else "  handlers", f"{name:<32} {handler.handler}")
        console = Console(markup=False, highlight=False, emoji=False)
        console.print(f"app '{printable(app.app_id)}' is ready after {seconds:.1f} s", style="bold")
        console.print(table)
        console.print("  Ctrl-C ends it, twice at once")
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
