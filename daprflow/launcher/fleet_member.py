"""One app of several while it runs: what it says and prints, and what became of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from daprflow.launcher.app_logs import AppLogs
from daprflow.launcher.fleet_plan import FleetApp
from daprflow.launcher.report import AppFrozen
from daprflow.launcher.roll import Roll
from daprflow.launcher.sidecar import AppSpec, SidecarInfo
from daprflow.launcher.sources import Sources
from daprflow.launcher.supervisor import Ears


class Speaker(Protocol):
    """How one app of several speaks to the user: every line bears its name."""

    def called(self, name: str) -> None:
        """Have the lines to come bear another name."""
        ...

    def output(self, line: str) -> None:
        """Print a line of the app."""
        ...

    def say(self, line: str) -> None:
        """Print one line about the app."""
        ...

    def log(self, line: str) -> None:
        """Print a log line of its sidecar."""
        ...

    def warn(self, line: str) -> None:
        """Print one line that the user should act upon."""
        ...

    def ready(self, app: AppSpec, info: SidecarInfo, pid: int) -> None:
        """Note that the app is up; pid 0 is none."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """Which member it is.

    Attributes:
        name: its id; with its number where there are replicas.
        replica: from 1.
    """

    name: str
    replica: int = 1


class Member:
    """One app, or one replica of it; a `daprflow.launcher.supervisor.Voice` as well.

    Args:
        app: what it is.
        place: which one.
        speaker: prints.
        roll: notes what becomes of it.
        sources: what each app has imported.
        note: prints a line that several apps may have in common.
    """

    def __init__(
        self,
        app: FleetApp,
        place: Place,
        speaker: Speaker,
        roll: Roll,
        *,
        sources: Sources,
        note: Callable[[str], None],
    ) -> None:
        self.app = app
        self.name = place.name
        self.replica = place.replica
        self.logs = AppLogs(speaker.output, speaker.log, app.logs, app.sidecar_logs)
        self._speaker = speaker
        self._roll = roll
        self._sources = sources
        self._note = note
        self._pid = 0
        self._explained = False

    def open_logs(self, stamp: str) -> None:
        """Make its log files.

        Raises:
            LaunchError: they cannot be made.
        """
        self.logs.open(Path(self.app.options.base), self.name, stamp)

    def ears(self) -> Ears:
        """Return who hears what the app does."""
        return Ears(
            output=self.logs.app,
            app_up=self._up,
            app_down=self._down,
            described=self._described,
            logs=self.logs.paths,
        )

    def parting(self) -> str:
        """Say what becomes of the others, now that this one has ended."""
        others = self._roll.others(self.name)
        if not others:
            return "no other app is left"
        return "the other one goes on" if others == 1 else f"the {others} others go on"

    def concerns(self, file: Path) -> bool:
        """Tell whether a change of a file is one of this app."""
        return self._sources.concern(self.name, file)

    def failed(self, problem: str = "") -> None:
        """Note that it ended without having been asked to; say so where nobody did."""
        self._roll.ended(self.name)
        if problem or not self._explained:
            self._speaker.warn(f"{problem or 'it could not start'}; {self.parting()}")
            self._explained = True

    # ---- the voice

    def ready(self, app: AppSpec, info: SidecarInfo, seconds: float) -> None:
        """Answer the roll; after it, say that the app is there after all."""
        for text in info.notes:
            self._note(text)
        self._speaker.ready(app, info, self._pid)
        late = self._roll.told
        self._roll.healthy(self.name, app.app_port, info)
        if late:
            self._speaker.say(f"it is healthy after {seconds:.1f} s")

    def say(self, line: str) -> None:
        """Print one line about it."""
        self._speaker.say(line)

    def log(self, line: str) -> None:
        """Take a log line of its sidecar, where that is a process."""
        self.logs.sidecar(line)

    def warn(self, line: str) -> None:
        """Print one line that the user should act upon."""
        self._explained = True
        self._speaker.warn(line)

    # ---- what it does

    def _up(self, pid: int) -> None:
        self._pid = pid
        self._roll.started(self.name, pid)

    def _down(self, status: int) -> None:
        del status  # the supervisor says it
        self._roll.ended(self.name)

    def _described(self, description: AppFrozen) -> None:
        self._explained = False
        self._sources.told(self.name, description.files)
        if not self.app.app_id:
            shown = self.app.named(self.replica, description.app_id)
            self._roll.called(self.name, shown)
            self._speaker.called(shown)
        known = {self.app.app_id, ""}
        if not self.app.id_given and description.app_id not in known:
            self._note(
                f"{self.app.place}: the app calls itself '{description.app_id}', and the template "
                f"gives it no appID, so that its id is '{self.app.app_id}'; add "
                f"'appID: {description.app_id}' if others call it by that"
            )
