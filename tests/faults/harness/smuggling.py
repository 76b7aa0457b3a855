"""G26: nothing that two parsers could read differently gets through, from no side."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from starlette.types import Receive, Scope, Send

from daprflow import DaprFlow
from daprflow.settings import Settings
from daprflow.transports.server import HttpServer, Limits
from tests.faults.harness.goals import Goal, Result, Size
from tests.faults.harness.quiet import quiet
from tests.faults.harness.raw import HOST, PlainApp, exchange, plain, status_of
from tests.helpers.sidecar import running_sidecar

LIMITS = Limits(header_seconds=1.0, body_seconds=1.0, linger_seconds=0.2)
INNER = b"GET /smuggled@N HTTP/1.1\r\nHost: localhost\r\n\r\n"
H = b"Host: localhost\r\n"
CL, TE = b"Content-Length: ", b"Transfer-Encoding: "
POST = b"POST %s HTTP/1.1\r\n" + H


MARK = b"@N"
"""Stands for the number of a case, in where its request goes and in what is hidden in it."""


def ambiguous() -> Iterator[tuple[str, bytes]]:
    """Requests that must be refused before anybody hears of them; ``%s`` is where they go."""
    end = b"\r\n\r\n"
    lengths = {
        "length and chunks": CL + b"5\r\n" + TE + b"chunked",
        "chunks and length": TE + b"chunked\r\n" + CL + b"5",
        "two lengths": CL + b"5\r\n" + CL + b"0",
        "two lengths in one": CL + b"5, 0",
        "a negative length": CL + b"-1",
        "a signed length": CL + b"+5",
        "a length in hex": CL + b"0x5",
        "a length with a blank": CL + b"1 0",
        "an endless length": CL + b"9" * 40,
        "an empty length": CL,
        "a blank before the colon": b"Content-Length : 5",
        "a tab before the colon": b"Transfer-Encoding\t: chunked",
        "chunks that are not last": TE + b"chunked, identity",
        "two codings": TE + b"chunked\r\n" + TE + b"identity",
        "chunks after a tab": TE + b"\x0bchunked",
        "a folded header": b"X: a\r\n " + TE + b"chunked",
        "a folded coding": TE + b"\r\n chunked",
        "a bare line feed": b"X: a\n" + TE + b"chunked",
        "a bare return": b"X: a\r" + TE + b"chunked",
        "a NUL": b"X: a\0b",
        "no name": b": a",
        "a name with a blank": b"X Y: a",
        "a name with a bracket": b"X(Y): a",
        "a line without a colon": b"just words",
        "two Hosts": b"Host: other",
    }
    for name, header in lengths.items():
        yield name, POST + header + end + INNER
    for name, line in {
        "a target with a blank": b"GET %s HTTP/1.1 HTTP/1.1",
        "a version of its own": b"GET %s HTTP/9.9",
        "no version": b"GET %s", "a method with a colon": b"G:T %s HTTP/1.1",
        "a control in the target": b"GET %s\x01 HTTP/1.1", "TLS": b"\x16\x03\x01\x02\0%s",
        "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM%s",
    }.items():  # fmt: skip
        yield name, line + b"\r\n" + H + b"\r\n"
    yield "no Host", b"GET %s HTTP/1.1\r\n\r\n"


def broken() -> Iterator[tuple[str, bytes]]:
    """Requests that turn out to be wrong while their body comes: nothing follows on them."""
    end = b"\r\n\r\n"
    yield "unknown chunks", POST + TE + b"xchunked" + end + INNER
    yield "chunks as a text", POST + TE + b'"chunked"' + end + INNER
    for name, size in {
        "a chunk that is no number": b"g", "a negative chunk": b"-1", "a chunk in 0x": b"0x2",
        "an endless chunk": b"f" * 20, "a chunk with a blank": b"2 2", "an empty chunk size": b"",
    }.items():  # fmt: skip
        body = size + b"\r\nab\r\n0\r\n\r\n"
        yield name, POST + TE + b"chunked" + end + body + INNER
    yield "a chunk that is too long", POST + TE + b"chunked" + end + b"2\r\nabcd\r\n0\r\n\r\n"


def harmless() -> Iterator[tuple[str, bytes, int]]:
    """Requests that may be served, as so many as they are and never as more."""
    inside = INNER.replace(b"%", b"%%")
    length = CL + str(len(INNER)).encode()
    yield "a request in a body", POST + length + b"\r\n\r\n" + inside, 1
    chunks = f"{len(INNER):x}".encode() + b"\r\n" + inside + b"\r\n0\r\n\r\n"
    yield "a request in a chunk", POST + TE + b"chunked\r\n\r\n" + chunks, 1
    yield "a trailer", POST + TE + b"chunked\r\n\r\n0\r\nContent-Length: 9\r\n\r\n", 1
    upgrade = b"Connection: Upgrade\r\nUpgrade: h2c\r\n" + length + b"\r\n\r\n"
    yield "an upgrade with a body", POST + upgrade + inside, 1
    yield "CONNECT", b"CONNECT localhost:1 HTTP/1.1\r\n" + H + b"\r\n" + inside, 0
    yield "two after each other", (POST + CL + b"0\r\n\r\n") * 2, 2


@dataclass(slots=True)
class Counted:
    """An application and what was asked of it."""

    app: DaprFlow
    asked: list[str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count, and hand on."""
        if scope["type"] == "http":
            self.asked.append(f"{scope['path']}?{scope['query_string'].decode('latin-1')}")
        await self.app(scope, receive, send)


@contextlib.asynccontextmanager
async def served() -> AsyncIterator[tuple[Counted, int]]:
    """Serve an app as it is in production."""
    app = DaprFlow("shop", settings=Settings())

    @app.invoke
    async def echo(body: bytes) -> int:
        return len(body)

    counted = Counted(app, [])
    listener = socket.create_server((HOST, 0))
    port = listener.getsockname()[1]
    server = HttpServer(counted, LIMITS, lifespan=True)
    await server.start(listener)
    try:
        yield counted, port
    finally:
        await server.stop(1.0)


async def against_app() -> tuple[int, list[str]]:
    """Send everything to an app; return how many there were, and what is wrong."""
    async with served() as (app, port):
        return await sent_to(port, b"/echo", "app", lambda: app.asked)


@dataclass(frozen=True, slots=True)
class Case:
    """A request that is sent.

    Attributes:
        most: how many requests may be made of it.
        refused: whether it must be answered as wrong.
    """

    name: str
    sent: bytes
    most: int
    refused: bool = True


def cases() -> list[Case]:
    """Return all of them."""
    return [
        *(Case(name, sent, 0) for name, sent in ambiguous()),
        *(Case(name, sent, 1) for name, sent in broken()),
        *(Case(name, sent, most, refused=False) for name, sent, most in harmless()),
    ]


async def sent_to(
    port: int, path: bytes, whom: str, asked: Callable[[], Sequence[str]]
) -> tuple[int, list[str]]:
    """Send everything to a port, side by side; return how many there were, and what is wrong.

    Args:
        port: where.
        path: what is asked for.
        whom: for the text of what is wrong.
        asked: returns the targets of the requests that got through.
    """
    tried = cases()

    async def one(number: int, case: Case) -> str | None:
        mark = b"%02d" % number
        sent = case.sent.replace(b"%s", path + b"?n=" + MARK).replace(MARK, mark)
        answer = await exchange(port, sent)
        through = [each for each in asked() if each.endswith(f"?n={mark.decode()}")]
        hidden = [each for each in asked() if f"smuggled{mark.decode()}" in each]
        served = case.refused and status_of(answer) < 400
        if served or hidden or len(through) > case.most:
            return f"{whom}: {case.name}: {answer[:60]!r}, got through: {through + hidden}"
        return None

    found = await asyncio.gather(*(one(*each) for each in enumerate(tried)))
    return len(tried), [text for text in found if text is not None]


INVOKE = b"/v1.0/invoke/shop/method/echo"
HOPS = (
    b"Connection: close, X-Mine\r\nX-Mine: 1", b"Keep-Alive: timeout=9", b"TE: trailers",
    b"Trailer: X", b"Proxy-Authorization: Basic eA==", b"Proxy-Connection: keep-alive",
    b"Upgrade: websocket\r\nConnection: Upgrade", b"dapr-caller-app-id: admin",
    b"dapr-callee-app-id: admin", b"dapr-caller-namespace: other",
)  # fmt: skip
STAYS = (
    b"transfer-encoding",
    b"upgrade:",
    b"proxy-",
    b"keep-alive:",
    b"te:",
    b"trailer:",
    b"admin",
)


async def against_sidecar(folder: Path) -> tuple[int, list[str]]:
    """Send everything through a sidecar to an app; return the same."""
    app = PlainApp(lambda path: plain("404 Not Found") if path.startswith("/dapr") else plain())
    async with (
        app.served() as app_port,
        running_sidecar(folder, {}, app_id="shop", app_port=app_port) as sidecar,
    ):
        number, problems = await sent_to(
            sidecar.port, INVOKE, "sidecar", lambda: [target(head) for head, _ in app.asked]
        )
        for header in HOPS:
            number += 1
            del app.asked[:]
            await exchange(
                sidecar.port, (POST % INVOKE) + header + b"\r\nContent-Length: 0\r\n\r\n"
            )
            for head, _ in app.asked:
                lines = head.lower().split(b"\r\n")[1:]
                if any(line.startswith(STAYS) or b"admin" in line for line in lines):
                    problems.append(f"sidecar: {header!r} reached the app: {head!r}")
    return number, problems


def target(head: bytes) -> str:
    """Return what a request asked for."""
    return head.split()[1].decode("latin-1")


OK = b"HTTP/1.1 200 OK\r\n"
ANSWERS = {
    "length and chunks": OK + CL + b"2\r\n" + TE + b"chunked\r\n\r\n0\r\n\r\n" + plain(),
    "two lengths": OK + CL + b"2\r\n" + CL + b"0\r\n\r\n{}",
    "a negative length": OK + CL + b"-2\r\n\r\n{}",
    "a bare line feed": OK + b"X: a\nContent-Length: 2\r\n\r\n{}",
    "a folded header": OK + b"X: a\r\n b\r\n" + CL + b"2\r\n\r\n{}",
    "unknown chunks": OK + TE + b"xchunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "a chunk that is no number": OK + TE + b"chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "two answers": plain(body=b"1") + plain(body=b"2"),
    "an answer before its question": plain(body=b"1") + plain("500 No", b"2"),
    "an upgrade": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n" + plain(body=b"2"),
}
"""What an app may answer, to have the next caller get something of it."""


async def against_channel(folder: Path) -> tuple[int, list[str]]:
    """Have an app answer so; whoever calls next gets an answer of his own."""
    homes = [folder / str(number) for number in range(len(ANSWERS))]
    for home in homes:
        await asyncio.to_thread(home.mkdir)
    tried = zip(homes, ANSWERS.items(), strict=True)
    found = await asyncio.gather(*(_answered(home, *case) for home, case in tried))
    return len(ANSWERS), [text for texts in found for text in texts]


async def _answered(home: Path, name: str, bad: bytes) -> list[str]:
    def answer(path: str) -> bytes:
        if path.startswith("/dapr"):
            return plain("404 Not Found")
        return bad if path == "/bad" else plain(body=b"mine")

    problems = []
    app = PlainApp(answer)
    async with (
        app.served() as app_port,
        running_sidecar(home, {}, app_id="shop", app_port=app_port) as sidecar,
    ):
        asked = (POST + CL + b"0\r\n\r\n").replace(b"%s", b"/v1.0/invoke/shop/method/bad")
        await exchange(sidecar.port, asked)
        for _ in range(2):
            after = await exchange(sidecar.port, (POST % INVOKE) + CL + b"0\r\n\r\n")
            if status_of(after) != 200 or b"mine" not in after:
                problems.append(f"channel: {name}: the next caller got {after[-60:]!r}")
    return problems


async def run(rounds: int, folder: Path, seed: int) -> Result:
    """Try everything against all three."""
    del seed
    tried = 0
    problems: list[str] = []
    for number in range(rounds):
        homes = [folder / f"{name}{number}" for name in ("sidecar", "channel")]
        for home in homes:
            await asyncio.to_thread(home.mkdir)
        with quiet():
            found = await asyncio.gather(
                against_app(), against_sidecar(homes[0]), against_channel(homes[1])
            )
        tried += sum(each for each, _ in found)
        problems += [text for _, texts in found for text in texts]
    return Result({"cases": tried}, problems)


GOAL = Goal(
    "G26",
    "nothing that two parsers could read differently gets through app, sidecar or channel",
    {Size.QUICK: 1, Size.FULL: 5},
    run,
)
