"""The roll of a run of several apps: which are healthy, and the moment when all of them are."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from daprflow.launcher.sidecar import SidecarInfo


@dataclass(frozen=True, slots=True)
class Entry:
    """One app, or one replica of it.

    Attributes:
        name: its id; with its number where there are replicas.
        info: its sidecar; None before it is healthy for the first time.
        ended: whether it ended, or could not start.
    """

    name: str
    app_port: int | None = None
    info: SidecarInfo | None = None
    pid: int = 0
    ended: bool = False

    @property
    def healthy(self) -> bool:
        """Whether it came up and still runs."""
        return self.info is not None and not self.ended


class Roll:
    """Calls the roll until every app has answered, in whatever way; then ``complete`` is told.

    Args:
        names: every app's; the methods know it by that.
        complete: told all entries, once.
    """

    def __init__(self, names: Iterable[str], complete: Callable[[Sequence[Entry]], None]) -> None:
        self._entries = {name: Entry(name) for name in names}
        self._complete = complete
        self._told = False

    @property
    def told(self) -> bool:
        """Whether all have answered."""
        return self._told

    def others(self, name: str) -> int:
        """Return how many other apps have not ended."""
        return sum(not each.ended for key, each in self._entries.items() if key != name)

    def called(self, name: str, shown: str) -> None:
        """Have an app shown by another name: its id was not known before it ran."""
        self._entries[name] = replace(self._entries[name], name=shown)

    def started(self, name: str, pid: int) -> None:
        """Note an app's process."""
        self._change(name, replace(self._entries[name], pid=pid))

    def healthy(self, name: str, app_port: int | None, info: SidecarInfo) -> None:
        """Note that an app is up."""
        entry = replace(self._entries[name], app_port=app_port, info=info, ended=False)
        self._change(name, entry)

    def ended(self, name: str) -> None:
        """Note that an app ended or could not start."""
        self._change(name, replace(self._entries[name], ended=True))

    def _change(self, name: str, entry: Entry) -> None:
        self._entries[name] = entry
        entries = tuple(self._entries.values())
        if not self._told and all(each.info is not None or each.ended for each in entries):
            self._told = True
            self._complete(entries)
