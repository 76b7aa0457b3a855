"""What of a run others can reach or read: its ports, its command lines, the app's environment."""

import contextlib
import json
import secrets
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

import pytest

from tests.helpers.cli_run import Run, write
from tests.helpers.own_ports import free_port

pytestmark = [
    pytest.mark.sockets,
    pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="looks through /proc"),
]

APP = """
import json, os
from pathlib import Path
from daprflow import Client, DaprFlow

app = DaprFlow("shop")
Path("environment.json").write_text(json.dumps(dict(os.environ)))

@app.invoke
async def total(*, client: Client) -> int:
    return 1
"""
LISTENS = "0A"
"""The state of a socket that listens, as the kernel writes it."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that listens.

    Attributes:
        address: where.
        port: on which port.
    """

    address: IPv4Address | IPv6Address
    port: int


def listeners(pids: list[int]) -> set[Listener]:
    """Return what these processes listen on, over TCP."""
    held = {link for pid in pids for link in opened(pid)}
    found = set()
    for file in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        for line in file.read_text(encoding="ascii").splitlines()[1:] if file.exists() else ():
            fields = line.split()
            if fields[3] == LISTENS and f"socket:[{fields[9]}]" in held:
                address, port = fields[1].split(":")
                found.add(Listener(read(address), int(port, 16)))
    return found


def read(address: str) -> IPv4Address | IPv6Address:
    """Read an address as the kernel writes it: words of four bytes, the last one first."""
    words = [bytes.fromhex(address[at : at + 8])[::-1] for at in range(0, len(address), 8)]
    found = ip_address(b"".join(words))
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found


def opened(pid: int) -> list[str]:
    """Return what the files of a process are; one may be closed meanwhile, or the process over."""
    found: list[str] = []
    with contextlib.suppress(OSError):
        for each in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                found.append(str(each.readlink()))
    return found


@pytest.mark.row("S-04")
def test_every_port_is_on_loopback_alone(tmp_path: Path) -> None:
    """The app's, both APIs', metrics' and whatever else is open: none is for other machines."""
    write(tmp_path, {"app.py": APP})
    metrics = free_port()
    words = ("run", "app.py", "--sidecar", "embedded", "--metrics-port", str(metrics))
    with Run(tmp_path, *words) as run:
        run.ready()
        found = listeners(run.alive())
        named = {run.port("Dapr HTTP"), run.port("Dapr gRPC"), run.port("app"), metrics}
    assert named <= {each.port for each in found}
    assert [each for each in found if not each.address.is_loopback] == []


@pytest.mark.row("S-40", "S-03")
def test_tokens_are_in_the_environment_of_the_app_alone(tmp_path: Path) -> None:
    """The app has its run's tokens, no way to another sidecar, and no command line shows one."""
    write(tmp_path, {"app.py": APP})
    elsewhere = {"DAPR_HTTP_ENDPOINT": "http://127.0.0.1:1", "DAPR_GRPC_ENDPOINT": "127.0.0.1:1"}
    tokens = {"DAPR_API_TOKEN": secrets.token_hex(16), "APP_API_TOKEN": secrets.token_hex(16)}
    with Run(tmp_path, "run", "app.py", "--sidecar", "embedded", env=elsewhere | tokens) as run:
        run.ready()
        lines = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in run.alive()]
        seen = json.loads((tmp_path / "environment.json").read_text(encoding="utf-8"))
        http, text = run.port("Dapr HTTP"), run.text
    assert tokens.items() <= seen.items()
    assert seen["DAPR_HTTP_PORT"] == str(http)
    assert not elsewhere.keys() & seen.keys()
    assert lines
    for token in tokens.values():
        assert not [line for line in lines if token.encode() in line]
        assert token not in text
