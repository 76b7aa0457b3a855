"""G9: what a browser sends for a page of somebody else reaches nothing of a sidecar.

No browser is needed: each request is what one would send, byte for byte, so that requests that only
some of them make, or made, are tried as well.
"""

import asyncio
import contextlib
import itertools
import random
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.faults.harness.goals import Goal, Result, Size
from tests.faults.harness.raw import Pairs, PlainApp, exchange, plain, request, status_of
from tests.faults.harness.victims import WITHIN, Victim
from tests.helpers.killed_process import plain_environment
from tests.helpers.own_ports import free_port

SECRET = "canary-of-the-vault"
RESOURCES = """
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {name: store}
spec: {type: state.in-memory, version: v1}
---
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {name: pubsub}
spec: {type: pubsub.in-memory, version: v1}
---
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {name: vault}
spec:
  type: secretstores.local.file
  version: v1
  metadata: [{name: secretsFile, value: secrets.json}]
"""
EVIL = "http://evil.example"
READ, WRITE = "/v1.0/secrets/vault/key", "/v1.0/state/store"
WRITTEN = b'[{"key":"kept","value":"changed"}]'
JSON = ("Content-Type", "application/json")
TEXT = ("Content-Type", "text/plain;charset=UTF-8")
FORM = ("Content-Type", "application/x-www-form-urlencoded")
PARTS = ("Content-Type", "multipart/form-data; boundary=x")
LINKED: Pairs = (("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "no-cors"))
SENT: Pairs = (("Origin", EVIL), *LINKED)


@dataclass(frozen=True, slots=True)
class Place:
    """A sidecar and the app beside it.

    Attributes:
        http: port of its API.
        grpc: port of its gRPC API.
        metrics: port of its metrics.
    """

    http: int
    grpc: int
    metrics: int
    app: PlainApp
    process: Victim


@dataclass(frozen=True, slots=True)
class Attack:
    """One request, what it is, and the port that it goes to."""

    name: str
    port: int
    sent: bytes


def rebound(port: int) -> Iterator[Attack]:
    """A name of the attacker's that leads here; also what other parsers take for local."""
    names = [
        "evil.example", "evil.example.", "localhost.evil.example", "127.0.0.1.evil.example",
        "localhost.", "0.0.0.0", "2130706433", "0x7f.1", "user@localhost", "localhost@evil.example",
        "localhost#.evil.example", "[::]", "localhost,evil.example", "evil.example:80@localhost",
    ]  # fmt: skip
    for name, (method, path, body) in itertools.product(names, ACTS):
        host = f"{name}:{port}" if name.rpartition(":")[2] == name else name
        sent = request(method, path, [("Host", host), ("Sec-Fetch-Site", "same-origin")], body)
        yield Attack(f"{method} {path} of '{host}'", port, sent)
    for pairs in ([("Host", "localhost"), ("Host", "evil.example")], []):
        yield Attack(f"{len(pairs)} Hosts", port, request("GET", READ, pairs))


ACTS = (("GET", READ, b""), ("POST", WRITE, WRITTEN), ("POST", "/v1.0/shutdown", b""))


def simple(port: int) -> Iterator[Attack]:
    """Requests that a page makes without asking: forms, images, beacons, frames, fetch."""
    host = ("Host", f"localhost:{port}")
    pages: dict[str, Pairs] = {
        "fetch": SENT,
        "beacon": (*SENT, ("Sec-Fetch-Dest", "empty")),
        "fetch of an older browser": (("Origin", EVIL),),
        "sandboxed frame": (("Origin", "null"), *LINKED),
        "file": (("Origin", "null"),),
        "another port": (("Origin", "http://localhost:8080"), ("Sec-Fetch-Site", "same-site")),
        "extension": (("Origin", "chrome-extension://abcdef"), ("Sec-Fetch-Site", "cross-site")),
        "https": (("Origin", f"https://localhost:{port + 1}"),),
    }
    targets = [
        *((WRITE, kind, WRITTEN) for kind in (TEXT, FORM, PARTS)),
        ("/v1.0/publish/pubsub/orders", TEXT, b"{}"),
        ("/v1.0/invoke/shop/method/danger", TEXT, b"{}"),
        ("/v1.0/shutdown", TEXT, b""),
    ]
    for (page, headers), (path, kind, body) in itertools.product(pages.items(), targets):
        sent = request("POST", path, [host, *headers, kind], body)
        yield Attack(f"{page}: POST {path} as {kind[1]}", port, sent)
    form = (("Origin", EVIL), ("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate"))
    yield Attack("form", port, request("POST", WRITE, [host, *form, FORM], WRITTEN))
    for dest, mode in itertools.product(
        ("image", "script", "style", "iframe"), ("no-cors", "cors")
    ):
        headers = (("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", mode))
        for path in (READ, "/v1.0/invoke/shop/method/danger", "/v1.0/metadata"):
            sent = request("GET", path, [host, *headers, ("Sec-Fetch-Dest", dest)])
            yield Attack(f"{dest} ({mode}): GET {path}", port, sent)


def asked_first(port: int) -> Iterator[Attack]:
    """Requests that a page asks for first, and those that it makes all the same."""
    host = ("Host", f"127.0.0.1:{port}")
    for method in ("PUT", "DELETE", "POST"):
        wanted = (("Access-Control-Request-Method", method), ("Origin", EVIL))
        private = ("Access-Control-Request-Private-Network", "true")
        for headers in (wanted, (*wanted, private)):
            sent = request("OPTIONS", f"{WRITE}/kept", [host, *headers])
            yield Attack(f"preflight for {method}", port, sent)
    yield Attack("DELETE", port, request("DELETE", f"{WRITE}/kept", [host, *SENT]))
    yield Attack("JSON", port, request("POST", WRITE, [host, *SENT, JSON], WRITTEN))


def streams(port: int) -> Iterator[Attack]:
    """Sockets and event streams, for which no browser asks first."""
    upgrade = (
        *(("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Version", "13")),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    )
    for origin, host in ((EVIL, "localhost"), ("null", "localhost"), (EVIL, "evil.example")):
        for path in (READ, "/"):
            headers = [("Host", f"{host}:{port}"), ("Origin", origin), *upgrade]
            yield Attack(f"socket of {origin}", port, request("GET", path, headers))
    events = (("Accept", "text/event-stream"), ("Origin", EVIL), ("Sec-Fetch-Mode", "cors"))
    yield Attack("events", port, request("GET", READ, [("Host", f"localhost:{port}"), *events]))


def others(place: Place) -> Iterator[Attack]:
    """The ports of metrics and of gRPC, which speaks nothing that a browser does."""
    for headers in ([("Host", "evil.example")], [("Host", "localhost"), *SENT]):
        yield Attack("metrics", place.metrics, request("GET", "/metrics", headers))
    call = "/dapr.proto.runtime.v1.Dapr/GetSecret"
    for headers in ([("Host", "evil.example")], [("Host", f"localhost:{place.grpc}"), *SENT]):
        for kind in ("application/grpc", "application/grpc-web+proto", "text/plain"):
            sent = request("POST", call, [*headers, ("Content-Type", kind)], b"\0\0\0\0\0")
            yield Attack(f"gRPC as {kind}", place.grpc, sent)


def attacks(place: Place) -> list[Attack]:
    """Return all of them."""
    port = place.http
    parts = (rebound(port), simple(port), asked_first(port), streams(port), others(place))
    return [attack for part in parts for attack in part]


def wrong(attack: Attack, answer: bytes) -> str | None:
    """Say what a page would have got; None where it got nothing."""
    status = status_of(answer)
    if 0 < status < 400:
        return f"{attack.name}: answered {status}"
    if SECRET.encode() in answer or b"access-control-allow" in answer.lower():
        return f"{attack.name}: answered with what is not for it"
    return None


@contextlib.asynccontextmanager
async def sidecar(folder: Path) -> AsyncIterator[Place]:
    """Start a sidecar as it is by default, beside an app that keeps what it is asked."""
    home = folder / "resources"
    await asyncio.to_thread(home.mkdir)
    (home / "all.yaml").write_text(RESOURCES, encoding="utf-8")
    (folder / "secrets.json").write_text(f'{{"key": "{SECRET}"}}', encoding="utf-8")
    app = PlainApp(lambda path: plain("404 Not Found") if path.startswith("/dapr") else plain())
    async with app.served() as app_port:
        ports = [free_port() for _ in range(3)]
        names = ("--dapr-http-port", "--dapr-grpc-port", "--metrics-port")
        flags = [word for pair in zip(names, map(str, ports), strict=True) for word in pair]
        words = (sys.executable, "-m", "daprflow", "sidecar", "--ephemeral", "--app-id", "shop")
        of_app = ("--app-port", str(app_port))
        process = Victim((*words, *of_app, *flags), plain_environment(folder), folder, "sidecar")
        await process.begin()
        place = Place(ports[0], ports[1], ports[2], app, process)
        try:
            await _ready(place)
            yield place
        finally:
            await process.kill()


async def _ready(place: Place) -> None:
    deadline = time.monotonic() + WITHIN
    for port, path in ((place.http, "/v1.0/healthz"), (place.metrics, "/metrics")):
        sent = request("GET", path, [("Host", "localhost"), ("Connection", "close")])
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                if 200 <= status_of(await exchange(port, sent)) < 300:
                    break
            await asyncio.sleep(0.05)
        else:
            raise TimeoutError(f"no sidecar: see {place.process.log}")


async def program(place: Place, method: str, path: str, body: bytes = b"") -> bytes:
    """Call as a program does, which is served."""
    headers = [("Host", f"localhost:{place.http}"), ("Connection", "close"), JSON]
    return await exchange(place.http, request(method, path, headers, body))


async def run(rounds: int, folder: Path, seed: int) -> Result:
    """Attack a sidecar in every way, in any order; then see that nothing has changed."""
    chance = random.Random(seed)  # noqa: S311 - it repeats
    problems: list[str] = []
    async with sidecar(folder) as place:
        await program(place, "POST", WRITE, WRITTEN.replace(b"changed", b"mine"))
        if SECRET.encode() not in await program(place, "GET", READ):
            problems.append("a program is not served either, so nothing is shown by refusals")
        before = len(place.app.asked)
        tried = attacks(place) * rounds
        chance.shuffle(tried)
        for part in range(0, len(tried), SIDE_BY_SIDE):
            batch = tried[part : part + SIDE_BY_SIDE]
            answers = await asyncio.gather(*(exchange(each.port, each.sent) for each in batch))
            found = [wrong(*pair) for pair in zip(batch, answers, strict=True)]
            problems += [text for text in found if text is not None]
        if not (await program(place, "GET", f"{WRITE}/kept")).endswith(b'"mine"'):
            problems.append("a value was changed, or the sidecar is gone")
        if asked := place.app.asked[before:]:
            problems.append(f"{len(asked)} requests reached the app, such as {asked[0][0][:80]!r}")
    return Result({"attacks": len(tried)}, problems)


SIDE_BY_SIDE = 32

GOAL = Goal(
    "G9",
    "nothing that a browser sends for somebody else's page reaches a sidecar",
    {Size.QUICK: 1, Size.FULL: 10},
    run,
)
