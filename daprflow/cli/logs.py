"""``daprflow logs``: what an app prints."""

import os
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from daprflow.cli.calls import DEFAULT_DATA_DIR
from daprflow.cli.completion import all_app_ids
from daprflow.cli.running import DataDir, Running, everything, idle, named
from daprflow.cli.voice import complain
from daprflow.launcher.alive import is_zombie
from daprflow.launcher.exits import Exit, LaunchError
from daprflow.launcher.folder import start_time

PAUSE = 0.2
CHUNK = 65536


def logs(
    app: Annotated[
        str | None,
        typer.Argument(help="Id of an app; else all that run here.", autocompletion=all_app_ids),
    ] = None,
    *,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what is printed, until the app ends.")
    ] = False,
    lines: Annotated[
        int, typer.Option("--lines", "-n", help="How many of the last lines.", min=0)
    ] = 100,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Show the last lines of an app's log files, here or wherever it runs.

    Without an id it is all apps that run here. Those of a run file have files of their own. One
    that was started alone prints to where it was started: where that is a file its lines are shown,
    else it is said where they go.

    \b
    daprflow logs shop --lines 20
    daprflow logs shop --follow
    """  # noqa: D301 - the backspace is for the help's layout
    found = everything(data_dir) if app is None else named(app, data_dir, everywhere=True)
    if not found:
        raise idle(data_dir)
    files = [_Tail(path) for path in dict.fromkeys(p for each in found for p in _files(each))]
    if not files:
        raise LaunchError(_elsewhere(found[0]), Exit.MISSING)
    try:
        for each in files:
            if len(files) > 1:
                complain(f"==> {each.path} <==")
            _put(each.last(lines))
        if follow:
            _follow(files, found)
    finally:
        for each in files:
            each.close()


@dataclass(slots=True)
class _Tail:
    """The end of a file that grows, and is perhaps begun anew."""

    path: Path
    _file: BinaryIO | None = field(default=None, init=False)

    def last(self, count: int) -> Iterator[bytes]:
        """Give the last lines that there are by now."""
        file = self._opened()
        if file is not None:
            yield from deque(file, maxlen=count)

    def fresh(self) -> Iterator[bytes]:
        """Give what came since."""
        if self._file is not None and self._replaced(self._file):
            self.close()
        file = self._opened()
        while file is not None and (chunk := file.read(CHUNK)):
            yield chunk

    def close(self) -> None:
        """Give the file back."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _opened(self) -> BinaryIO | None:
        if self._file is None:
            try:
                self._file = self.path.open("rb")
            except OSError as error:
                complain(f"cannot read '{self.path}': {error.strerror}")
        return self._file

    def _replaced(self, file: BinaryIO) -> bool:
        try:
            now = self.path.stat()
        except OSError:
            return False
        mine = os.fstat(file.fileno())
        return (now.st_dev, now.st_ino) != (mine.st_dev, mine.st_ino) or now.st_size < file.tell()


def _files(running: Running) -> list[Path]:
    """Return where an app's lines are written."""
    if running.app.logs:
        return [running.folder.parent / each for each in running.app.logs]
    for pid in filter(None, (running.app.app_pid, running.pid)):  # the run passes lines of it on
        found = [_stream(pid, number) for number in (1, 2)]
        files = [path for path in found if path is not None and path.is_file()]
        if files:
            return list(dict.fromkeys(files))
    return []


def _stream(pid: int, number: int) -> Path | None:
    """Return what a standard stream of a process is, None where the system does not say."""
    try:
        return Path(f"/proc/{pid}/fd/{number}").readlink()
    except OSError:
        return None


def _elsewhere(running: Running) -> str:
    where = _stream(running.pid, 1)
    place = f" ({where})" if where is not None else ""
    return (
        f"app '{running.app.app_id}' has no log file: it prints to where process {running.pid} was "
        f"started{place}; start that with '> FILE 2>&1', or let a run file have its lines in files "
        "(appLogDestination)"
    )


def _follow(files: list[_Tail], found: list[Running]) -> None:
    began = {each.pid: start_time(each.pid) for each in found}
    while True:
        over = all(start_time(pid) != start or is_zombie(pid) for pid, start in began.items())
        for each in files:
            _put(each.fresh())
        if over:
            return
        time.sleep(PAUSE)


def _put(pieces: Iterator[bytes]) -> None:
    """Print bytes as they are: colours and all, as the app wrote them."""
    sys.stdout.flush()
    try:
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit from None
