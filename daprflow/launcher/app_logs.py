"""The log files of one app of several: where its template wants them, in ``.dapr/logs``."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from daprflow.launcher.exits import Exit, LaunchError
from daprflow.protocol.run_file import LogDestination

FOLDER = Path(".dapr", "logs")
_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class AppLogs:
    """Takes the lines of an app and of its sidecar, and puts them where they belong.

    Args:
        console: prints a line of the app.
        sidecar_console: prints a line of its sidecar.
    """

    def __init__(
        self,
        console: Callable[[str], None],
        sidecar_console: Callable[[str], None],
        logs: LogDestination,
        sidecar_logs: LogDestination,
    ) -> None:
        self._console = console if logs.console else None
        self._sidecar_console = sidecar_console if sidecar_logs.console else None
        self._wanted = (logs.file, sidecar_logs.file)
        self._files: tuple[TextIO | None, TextIO | None] = (None, None)
        self.paths: tuple[str, ...] = ()

    def open(self, folder: Path, name: str, stamp: str) -> None:
        """Make the files.

        Args:
            folder: the app's.
            name: what their names begin with: the app's id.
            stamp: when the run began, as it stands in their names.

        Raises:
            LaunchError: they cannot be made.
        """
        place = folder / FOLDER
        parts = [
            place / f"{name}_{part}_{stamp}.log" if wanted else None
            for part, wanted in zip(("app", "daprd"), self._wanted, strict=True)
        ]
        try:
            if any(parts):
                place.mkdir(parents=True, exist_ok=True)
            app, sidecar = (None if path is None else _made(path) for path in parts)
        except OSError as error:
            raise LaunchError(
                f"cannot write logs to '{place}': {error.strerror}; "
                "or have appLogDestination and daprdLogDestination 'console'",
                Exit.USAGE,
            ) from None
        self._files = (app, sidecar)
        self.paths = tuple(str(path) for path in parts if path is not None)

    def app(self, line: str) -> None:
        """Take a line that the app printed."""
        if self._console is not None:
            self._console(line)
        _write(self._files[0], line)

    def sidecar(self, line: str) -> None:
        """Take a line of its sidecar's log."""
        if self._sidecar_console is not None:
            self._sidecar_console(line)
        self.keep(line)

    def keep(self, line: str) -> None:
        """Write a line of its sidecar's log that the terminal has already."""
        _write(self._files[1], line)

    def close(self) -> None:
        """Close the files."""
        for file in self._files:
            if file is not None:
                file.close()
        self._files = (None, None)


def _made(path: Path) -> TextIO:
    return path.open("w", encoding="utf-8", errors="replace", buffering=1)


def _write(file: TextIO | None, line: str) -> None:
    """Write one line without colours; a disk that is full must not end the run."""
    if file is None:
        return
    try:
        file.write(_COLOURS.sub("", line) + "\n")
    except OSError:
        return
