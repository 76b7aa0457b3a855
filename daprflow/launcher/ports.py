"""Ports: taking a wanted one, finding a free one, naming the owner of a taken one."""

import contextlib
import errno
import socket
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from daprflow.launcher.exits import Exit, LaunchError
from daprflow.launcher.options import (
    DEFAULT_GRPC_PORT,
    DEFAULT_HTTP_PORT,
    DEFAULT_METRICS_PORT,
)
from daprflow.launcher.reservations import is_reserved, reserve

LOOPBACK = "127.0.0.1"
SPARE = 2_000
"""Ports just below the ephemeral range, for those whose usual one lies inside it."""
_DEFAULT_EPHEMERAL_START = 32_768
_LISTENING = "0A"


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that holds a port."""

    pid: int
    command: str


def listen(port: int, *, host: str = LOOPBACK, flag: str) -> socket.socket:
    """Take exactly ``port``.

    Args:
        port: the port.
        host: the address to listen on.
        flag: the option the user named the port with, for the message.

    Raises:
        LaunchError: it is taken (the owner is named, exit code `Exit.PORT_TAKEN`) or not allowed.
    """
    try:
        return _listen(host, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise _taken(port, flag) from None
        raise LaunchError(
            f"cannot listen on {host}:{port}: {error.strerror}; choose another port with {flag}",
            Exit.PORT_TAKEN,
        ) from None


def listen_from(
    first: int, *, host: str = LOOPBACK, avoid: Collection[int | None] = ()
) -> socket.socket:
    """Take ``first`` or the next free port below the ephemeral range.

    A listening socket holds the port from here on: nobody else can be given the same one.
    """
    end = ephemeral_start()
    start = first + 1 if first < end else end - SPARE
    for port in (first, *range(start, end)):
        if port not in avoid:
            try:
                listener = _listen(host, port)
            except OSError as error:
                _about_port(error, host)
                continue
            if not is_reserved(port):
                return listener
            listener.close()
    raise LaunchError(f"no free port below {end}", Exit.PORT_TAKEN)


@contextlib.contextmanager
def promised_port(avoid: Collection[int] = ()) -> Iterator[int]:
    """Choose a free port that hardly anybody names, and promise it to a program of ours."""
    with listen_from(ephemeral_start() - SPARE, avoid=avoid) as listener:
        port: int = listener.getsockname()[1]
        promise = reserve(port)
    try:
        yield port
    finally:
        if promise is not None:
            promise.close()


def _about_port(error: OSError, host: str) -> None:
    """Raise unless another port may do better."""
    if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
        raise LaunchError(
            f"cannot listen on '{host}': {error.strerror}; name an address of this machine with "
            "--app-channel-address",
            Exit.PORT_TAKEN,
        ) from None


def http_listener(wanted: int | None, *others: int | None) -> socket.socket:
    """Take the port of a sidecar's HTTP API, on loopback: the wanted one, else 3500 or the next.

    Args:
        wanted: the port; None for any.
        others: the ports that others are going to take, the app among them; None counts for none.

    Raises:
        LaunchError: it is taken.
    """
    if wanted is not None:
        return listen(wanted, flag="--dapr-http-port")
    return listen_from(DEFAULT_HTTP_PORT, avoid=others)


def grpc_listener(wanted: int | None, *others: int | None) -> socket.socket:
    """Take the port of a sidecar's gRPC API, on loopback: the wanted one, else 50001 or the next.

    Args:
        wanted: the port; None for any.
        others: the ports that others are going to take; None counts for none.

    Raises:
        LaunchError: it is taken.
    """
    if wanted is not None:
        return listen(wanted, flag="--dapr-grpc-port")
    return listen_from(DEFAULT_GRPC_PORT, avoid=others)


def metrics_listener(wanted: int | None, *others: int | None) -> socket.socket:
    """Take the port of the metrics: the wanted one, else 9090 or the next free one.

    Args:
        wanted: None leaves the choice.
        *others: ports that the same run wants for something else.

    Raises:
        LaunchError: the wanted one is taken.
    """
    if wanted is not None:
        return listen(wanted, flag="--metrics-port")
    return listen_from(DEFAULT_METRICS_PORT, avoid=others)


def require_free(port: int, *, host: str = LOOPBACK, flag: str) -> None:
    """Check that a port an app is about to take is free.

    Raises:
        LaunchError: it is taken; the owner is named.
    """
    listen(port, host=host, flag=flag).close()


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    return listener


def _taken(port: int, flag: str) -> LaunchError:
    owner = owner_of(port)
    by = f" by process {owner.pid} ({owner.command})" if owner else ""
    return LaunchError(
        f"port {port} is taken{by}; stop it or choose another port with {flag}", Exit.PORT_TAKEN
    )


def ephemeral_start() -> int:
    """Return the first port the system hands out by itself; below it nothing moves by chance."""
    try:
        text = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii")
        return int(text.split()[0])
    except (OSError, ValueError):
        return _DEFAULT_EPHEMERAL_START


def owner_of(port: int) -> Owner | None:
    """Return the process that listens on ``port``, where /proc shows it to this user."""
    inodes = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    if not inodes:
        return None
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and not inodes.isdisjoint(_links(process / "fd")):
            return Owner(int(process.name), _command(process))
    return None


def _listening_inodes(port: int) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        try:
            lines = Path("/proc/net", table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                yield fields[9]


def _links(folder: Path) -> Iterator[str]:
    try:
        for link in folder.iterdir():
            try:
                yield str(link.readlink())
            except OSError:
                continue
    except OSError:
        return


def _command(process: Path) -> str:
    try:
        words = (process / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return "?"
    text = b" ".join(words).decode(errors="replace").strip()
    return "".join(c if c.isprintable() else "?" for c in text)[:80] or "?"
