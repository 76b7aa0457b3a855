"""The data folder ``.daprflow/``: who may use it, and how others find the run that does."""

import contextlib
import fcntl
import os
import secrets
from pathlib import Path

import msgspec

from daprflow.launcher import runs
from daprflow.launcher.exits import Exit, LaunchError

NAME = ".daprflow"


class RunningApp(msgspec.Struct, frozen=True, omit_defaults=True):
    """One app of a run; ``api_token`` is what its sidecar asks callers for.

    Attributes:
        pid: the process of the run that the app belongs to: a signal ends the app with it. Apps of
            one run file have the same; 0 where nobody said.
        sidecar: its kind, ``embedded`` or ``daprd``.
        app_pid: the app's own process, once it serves; 0 before, and where nobody said.
        logs: files that the run writes the app's output to; none where it has the terminal.
    """

    app_id: str
    http_port: int
    app_port: int | None = None
    api_token: str | None = None
    grpc_port: int | None = None
    pid: int = 0
    sidecar: str = "embedded"
    logs: tuple[str, ...] = ()
    app_pid: int = 0


class RunRecord(msgspec.Struct, frozen=True):
    """The content of ``run.json``.

    Attributes:
        started: the start time of process ``pid`` as the system counts it; tells a later process
            with the same id apart.
        apps: that of the run itself first.
        control_port: where further runs in this folder register; 0 takes none in.
        token: what they prove themselves with.
    """

    pid: int
    started: str
    apps: tuple[RunningApp, ...] = ()
    control_port: int = 0
    token: str = ""


class DataFolder:
    """The folder that holds a run's data; made on first use, mode 0700, ignored by git."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = -1

    def prepare(self) -> None:
        """Make the folder and what belongs into it.

        Raises:
            LaunchError: it cannot be made or written.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            (self.path / "logs").mkdir(mode=0o700, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                _write_new(self.path / ".gitignore", b"*\n")
        except OSError as error:
            raise LaunchError(
                f"cannot use '{self.path}' for data: {error.strerror}; "
                "name another folder with --data-dir",
                Exit.DATA_FOLDER,
            ) from None

    def lock(self) -> bool:
        """Become this folder's only user; False when another live process is it."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            descriptor = os.open(self.path / "lock", flags, 0o600)
        except OSError as error:
            raise LaunchError(
                f"cannot lock '{self.path}': {error.strerror}", Exit.DATA_FOLDER
            ) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._lock = descriptor
        return True

    def publish(self, record: RunRecord) -> None:
        """Write ``run.json`` in one step, readable by this user only."""
        draft = self.path / f"run.json.{secrets.token_hex(4)}"
        _write_new(draft, msgspec.json.encode(record))
        draft.replace(self.path / "run.json")
        runs.note(self.path)

    def running(self) -> RunRecord | None:
        """Return the record of the run in this folder, None when there is none alive."""
        try:
            record = msgspec.json.decode((self.path / "run.json").read_bytes(), type=RunRecord)
        except (OSError, msgspec.DecodeError):
            return None
        return record if start_time(record.pid) == record.started else None

    def clean(self) -> None:
        """Take away what a run left here that could not end by itself; leave a live one alone."""
        if self.running() is None and self.path.is_dir() and self.lock():
            self.release()

    def release(self) -> None:
        """Take ``run.json`` away and give the lock back."""
        if self._lock < 0:
            return
        runs.forget(self.path)
        with contextlib.suppress(OSError):
            (self.path / "run.json").unlink(missing_ok=True)
        os.close(self._lock)
        self._lock = -1


def record(*apps: RunningApp, control_port: int = 0, token: str = "") -> RunRecord:
    """Return the record of this process."""
    pid = os.getpid()
    return RunRecord(pid, start_time(pid), apps, control_port, token)


def in_use(path: Path) -> LaunchError:
    """Return the error for a data folder that another run holds."""
    return LaunchError(
        f"another run uses '{path}'; end it, or name another folder with --data-dir",
        Exit.DATA_FOLDER,
    )


def _write_new(path: Path, content: bytes) -> None:
    """Write a file that nobody has made before; no link leads it elsewhere.

    Raises:
        FileExistsError: something has that name.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def start_time(pid: int) -> str:
    """Return when a process started, in words of the system; empty when there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return _without_proc(pid)
    return stat.rpartition(b")")[2].split()[19].decode()


def _without_proc(pid: int) -> str:
    if Path("/proc/self").exists():
        return ""
    try:
        os.kill(pid, 0)
    except OSError:
        return ""
    return "?"
