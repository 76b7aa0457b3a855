"""How a run of several apps speaks: lines with the app's name and colour, and a table."""

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle

from daprflow.cli.voice import complain, printable, put
from daprflow.launcher.fleet_member import Place
from daprflow.launcher.fleet_plan import FleetApp
from daprflow.launcher.roll import Entry
from daprflow.launcher.sidecar import AppSpec, SidecarInfo

COLOURS = ("36", "33", "35", "32", "34", "96", "93", "95", "92", "94")
"""Those of a terminal that are read well on black and on white, without red."""


def coloured(env: Mapping[str, str]) -> bool:
    """Tell whether standard output shows colours: it is a terminal, and nobody minds them."""
    return sys.stdout.isatty() and not env.get("NO_COLOR") and env.get("TERM") != "dumb"


class AppSpeaker:
    """Speaks for one app; see `daprflow.launcher.fleet_member.Speaker`.

    Args:
        name: the app's; its lines begin with it.
        width: of the column that names are in.
        colour: of that column, as a terminal numbers it; empty is none.
    """

    def __init__(self, name: str, width: int, colour: str = "") -> None:
        self._width = width
        self._colour = colour
        self._name = name
        self._head = self._column()

    def called(self, name: str) -> None:
        """Have the lines to come bear another name."""
        self._name = name
        self._head = self._column()

    def _column(self) -> str:
        text = f"{printable(self._name):<{self._width}} | "
        return f"\x1b[{self._colour}m{text}\x1b[0m" if self._colour else text

    def output(self, line: str) -> None:
        """Print a line of the app, as it is."""
        put(sys.stdout, f"{self._head}{line}\n")

    def say(self, line: str) -> None:
        """Print one line about the app."""
        put(sys.stdout, f"daprflow: app '{printable(self._name)}': {printable(line)}\n")

    def log(self, line: str) -> None:
        """Print a log line of its sidecar."""
        put(sys.stderr, f"{self._head}{printable(line)}\n")

    def warn(self, line: str) -> None:
        """Print one line on standard error."""
        complain(f"app '{self._name}': {line}")

    def ready(self, app: AppSpec, info: SidecarInfo, pid: int) -> None:
        """Leave it to the table."""


class ConsoleFleetVoice:
    """Speaks to a terminal, or to whatever else standard output is.

    Args:
        names: of all apps, for the width of the first column.
        env: of this process.
    """

    def __init__(self, names: Sequence[str], env: Mapping[str, str]) -> None:
        self._width = max(map(len, names), default=0)
        self._colours: Iterator[str] | None = cycle(COLOURS) if coloured(env) else None

    def speaker(self, app: FleetApp, place: Place) -> AppSpeaker:  # noqa: ARG002 - a voice's
        """Return what speaks for one app, in the next colour."""
        colour = "" if self._colours is None else next(self._colours)
        return AppSpeaker(place.name, self._width, colour)

    def roll(self, entries: Sequence[Entry], seconds: float) -> None:
        """Print the table, and in one line whether all are healthy."""
        with contextlib.suppress(SystemExit):  # rich ends the program when its reader has gone
            _table(entries)
        healthy = sum(each.healthy for each in entries)
        if healthy == len(entries):
            self.say(f"all {healthy} healthy in {seconds:.1f} s; Ctrl-C ends them, twice at once")
            return
        missing = ", ".join(f"'{each.name}'" for each in entries if not each.healthy)
        self.warn(f"{healthy} of {len(entries)} healthy after {seconds:.1f} s, not {missing}")

    def say(self, line: str) -> None:
        """Print one line."""
        put(sys.stdout, f"daprflow: {printable(line)}\n")

    def warn(self, line: str) -> None:
        """Print one line on standard error."""
        complain(line)

    def stopping(self) -> None:
        """Say nothing: the apps do."""


def _table(entries: Sequence[Entry]) -> None:
    from rich.console import Console  # noqa: PLC0415 - imported while the apps start
    from rich.table import Table  # noqa: PLC0415 - as above

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("app", "port", "Dapr HTTP", "Dapr gRPC", "pid", "sidecar"):
        table.add_column(title, no_wrap=True)
    for each in entries:
        table.add_row(*map(printable, _cells(each)))
    console = Console(markup=False, highlight=False, emoji=False, width=None)
    console.print(table, soft_wrap=True)
    sys.stdout.flush()


def _cells(entry: Entry) -> tuple[str, ...]:
    if entry.info is None:
        return (entry.name, "", "", "", "", "not up")
    ports = (entry.app_port, entry.info.http_port, entry.info.grpc_port, entry.pid)
    kind = "ended" if entry.ended else entry.info.kind
    return (entry.name, *(str(number) if number else "" for number in ports), kind)
