"""One process per app with actors: a second one would hold other states of the same actors."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import IO

from daprflow.errors import DaprFlowError
from daprflow.settings import Settings

_SIDECAR = ("DAPR_HTTP_PORT", "DAPR_HTTP_ENDPOINT", "DAPR_GRPC_PORT", "DAPR_GRPC_ENDPOINT")


class SeveralWorkers(DaprFlowError):  # noqa: N818 - named for the state
    """An app with actors was started in several worker processes."""


@contextmanager
def alone(app_id: str, settings: Settings, env: Mapping[str, str] | None) -> Iterator[None]:
    """Refuse to run beside another worker process of the same server.

    Workers have one parent and one sidecar; that is told by a lock on a file of that name. ``env``
    is the environment that says where the sidecar is; without a word about it, or on a system that
    has no such locks, nothing is checked.

    Raises:
        SeveralWorkers: another process has the lock, or several are asked for.
    """
    workers = "" if env is None else env.get("WEB_CONCURRENCY", "")
    if workers.isdecimal() and int(workers) > 1:
        raise _several(app_id, f"WEB_CONCURRENCY asks for {workers}")
    if env is None or not any(env.get(name) for name in _SIDECAR):
        yield
        return
    key = f"{os.getppid()} {app_id} {settings.http_endpoint} {settings.grpc_endpoint}"
    with _file(sha256(key.encode()).hexdigest()[:32]) as file:
        if not _locked(file):
            raise _several(app_id, "another one of the same server runs already")
        yield


def _several(app_id: str, found: str) -> SeveralWorkers:
    return SeveralWorkers(
        f"app '{app_id}' hosts actors, so it runs in one worker process: {found}. The runtime "
        "sends the calls of an actor to one address, and each process there would have a state of "
        "its own; start it with one worker, and more instances with a sidecar each"
    )


def _file(name: str) -> IO[bytes]:
    folder = Path(tempfile.gettempdir()) / f"daprflow-{os.getuid() if hasattr(os, 'getuid') else 0}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return (folder / f"actors-{name}.lock").open("ab")


def _locked(file: IO[bytes]) -> bool:
    """Take the lock of a file until it is closed; also when this system has none."""
    try:
        import fcntl  # noqa: PLC0415 - not on every system
    except ImportError:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
