"""What runs here: the apps of a data folder, or of all data folders of this user."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from daprflow.cli.calls import NOTHING, Refused, nothing_runs
from daprflow.launcher import runs
from daprflow.launcher.alive import started_at
from daprflow.launcher.exits import Exit
from daprflow.launcher.folder import DataFolder, RunningApp, RunRecord, start_time

DAY, HOUR, MINUTE = 86400, 3600, 60

DataDir = Annotated[
    Path,
    typer.Option("--data-dir", help="Data folder of the run.", envvar="DAPRFLOW_DATA_DIR"),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print JSON, and errors as JSON to standard error.")
]


@dataclass(frozen=True, slots=True)
class Running:
    """One app that runs, or one replica of it.

    Attributes:
        folder: the data folder of its run.
        record: what the run says of itself.
    """

    folder: Path
    record: RunRecord
    app: RunningApp

    @property
    def pid(self) -> int:
        """The process of its run: what a signal ends it with."""
        return self.app.pid or self.record.pid

    @property
    def started(self) -> float:
        """When it began, in seconds since 1970; 0 where the system does not say."""
        return started_at(self.app.app_pid or self.pid)

    @property
    def gone(self) -> bool:
        """Whether its process has ended while its run goes on: with --reload, until a change."""
        return bool(self.app.app_pid) and not start_time(self.app.app_pid)

    @property
    def shares_its_run(self) -> bool:
        """Whether other apps go when its run is ended."""
        return any(
            (each.pid or self.record.pid) == self.pid and each.app_id != self.app.app_id
            for each in self.record.apps
        )

    def listed(self) -> bool:
        """Tell whether its run still lists it."""
        record = DataFolder(self.folder).running()
        return record is not None and any(
            (each.app_id, each.http_port) == (self.app.app_id, self.app.http_port)
            for each in record.apps
        )


def folders(data_dir: Path, *, everywhere: bool) -> list[Path]:
    """Return the data folders to look into; what was killed in them is cleaned away."""
    found = {data_dir.resolve(): data_dir}
    if everywhere:
        for each in runs.noted():
            found.setdefault(each, each)
    for each in found.values():
        if DataFolder(each).running() is None and (each / "run.json").exists():
            DataFolder(each).clean()
        if not each.is_dir():
            runs.forget(each)
    return list(found.values())


def everything(data_dir: Path, *, everywhere: bool = False) -> list[Running]:
    """Return the apps that run with a data folder, or with any of this user."""
    found = []
    for folder in folders(data_dir, everywhere=everywhere):
        record = DataFolder(folder).running()
        if record is not None:
            found += [Running(folder, record, app) for app in record.apps]
    return found


def named(app_id: str, data_dir: Path, *, everywhere: bool = False) -> list[Running]:
    """Return an app with all its replicas; from the data folder, else from wherever one runs.

    Raises:
        Refused: it does not run, or in several folders.
    """
    here = everything(data_dir)
    found = [each for each in here if each.app.app_id == app_id]
    if not found and everywhere:
        here = everything(data_dir, everywhere=True)
        found = [each for each in here if each.app.app_id == app_id]
    if not found:
        raise missing(app_id, data_dir, here, everywhere=everywhere)
    places = sorted({str(each.folder) for each in found})
    if len(places) > 1:
        listed = ", ".join(f"'{place}'" for place in places)
        text = f"app '{app_id}' runs with several data folders: {listed}; name one with --data-dir"
        raise Refused(text, Exit.USAGE)
    return found


def missing(
    app_id: str, data_dir: Path, there: Iterable[Running], *, everywhere: bool = False
) -> Refused:
    """Return the error for an app that does not run."""
    known = ", ".join(dict.fromkeys(f"'{each.app.app_id}'" for each in there))
    where = "here" if everywhere else f"in '{data_dir}'"
    if not known:
        return idle(None if everywhere else data_dir)
    return Refused(f"app '{app_id}' does not run {where}; there is {known}", Exit.MISSING)


def idle(data_dir: Path | None) -> Refused:
    """Return the error for a data folder, or with None for all of them, with which nothing runs."""
    text = "nothing runs here; start it with 'daprflow run'"
    if data_dir is not None:
        text = nothing_runs(data_dir)
    return Refused(text, Exit.AWAY, NOTHING)


def age(started: float) -> str:
    """Write how long something has been running, such as ``3m``; a dash where nobody knows."""
    if not started:
        return "-"
    seconds = max(0, int(time.time() - started))
    for size, unit in ((DAY, "d"), (HOUR, "h"), (MINUTE, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
