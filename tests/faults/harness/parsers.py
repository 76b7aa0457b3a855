"""Everything that reads bytes from outside, each as a function that says what is wrong."""

# ruff: noqa: RUF005 - words of a kind are easier to read together

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daprflow import DaprFlow
from daprflow.protocol import messages
from daprflow.protocol import workflow_messages as wf
from daprflow.protocol.cloudevents import NotAnEvent, binary_attributes, read_envelope
from daprflow.protocol.expressions import ExpressionError, compile_expression
from daprflow.protocol.history_codec import read_events
from daprflow.protocol.http import HttpRequest
from daprflow.protocol.moments import parse_moment
from daprflow.protocol.periods import parse_period, parse_time
from daprflow.protocol.schedules import ScheduleError, parse_duration, parse_job_schedule
from daprflow.sidecar.channel.base import AppUnreachable
from daprflow.sidecar.channel.http import HttpChannel
from daprflow.sidecar.configuration_document import load_configuration
from daprflow.sidecar.resource_fields import DocumentError
from daprflow.sidecar.resources import load_resources
from daprflow.transports.server import HttpServer, Limits
from tests.faults.harness.mutation import Mutator
from tests.helpers.app_calls import Caller, running
from tests.helpers.grpc_sidecar import grpc_sidecar
from tests.helpers.killed_process import HOST

Read = Callable[[bytes], Awaitable[str | None]]
"""Reads an input; what is wrong, if anything is. An error of any other kind is wrong as well."""
SERVER_ERROR = 500


@dataclass(frozen=True, slots=True)
class Parser:
    """Somebody who reads.

    Attributes:
        name: what is read.
        inputs: makes it.
        opened: gives the function, while it is open in a folder.
    """

    name: str
    inputs: Mutator
    opened: Callable[[Path], AbstractAsyncContextManager[Read]]


def simple(read: Callable[[bytes, Path], str | None]) -> Callable[[Path], Any]:
    """Return how a plain function is opened."""

    @contextlib.asynccontextmanager
    async def opened(folder: Path) -> AsyncIterator[Read]:
        async def one(data: bytes) -> str | None:
            return read(data, folder)

        yield one

    return opened


# ---- texts --------------------------------------------------------------------------------------


def read_times(data: bytes, _folder: Path) -> None:
    """Read a schedule, a duration, a period, a moment."""
    text = data.decode("utf-8", "surrogateescape")
    for read in (parse_job_schedule, parse_duration, parse_period):
        with contextlib.suppress(ScheduleError):
            read(text)
    for at in (parse_moment, parse_time):
        with contextlib.suppress(ScheduleError):
            at(text, 0.0)


TIMES = Parser(
    "times",
    Mutator(
        [b"@every 1h30m", b"0 30 3 * * MON-FRI", b"CRON_TZ=Europe/Berlin 0 0 3 * * *", b"R5/PT1H"]
        + [
            b"2024-02-29T12:00:00.5+01:00",
            b"P1Y2M3DT4H5M6S",
            b"1h2m3s4ms",
            b"@daily",
            b"*/5 * * * * *",
        ],
        [
            b"@every ",
            b"R",
            b"P",
            b"T",
            b"1h",
            b"ms",
            "µs".encode(),
            b"/",
            b",",
            b"-",
            b"*",
            b"L",
            b"#2",
        ]
        + [b"TZ=UTC ", b"CRON_TZ=", b"59", b"60", b"W", b"?", b"MON", b"+14:00", b"Z", b"."],
    ),
    simple(read_times),
)


def read_rule(data: bytes, _folder: Path) -> None:
    """Compile a rule and have it decide."""
    text = data.decode("utf-8", "surrogateescape")
    with contextlib.suppress(ExpressionError):
        compile_expression(text).matches({"data": {"x": "a" * 20, "n": 5}, "type": "order.vip"})


RULES = Parser(
    "rules",
    Mutator(
        [b'event.type == "order.vip"', b"event.data.n > 3 && size(event.data.x) == 20"]
        + [b'has(event.data.x) || event.data["n"] in [1, 2]', b'event.data.x.matches("^a+$")'],
        [
            b"event",
            b".data",
            b"(",
            b")",
            b"[",
            b"]",
            b"{",
            b"}",
            b"==",
            b"&&",
            b"||",
            b"!",
            b"?",
            b":",
        ]
        + [
            b"'a'",
            b'"',
            b"all(x, true)",
            b"matches('(a+)+$')",
            b"in",
            b"has(",
            b"size(",
            b"-",
            b"\\",
        ],
    ),
    simple(read_rule),
)


# ---- events -------------------------------------------------------------------------------------

EVENT = (
    b'{"id":"1","source":"a","type":"t","specversion":"1.0","datacontenttype":"application/json",'
    b'"data":{"id":1,"lines":[1,2.5,null,"x"]},"traceid":"00-1","time":"2024-01-01T00:00:00Z"}'
)
JSON = [b"{", b"}", b"[", b"]", b":", b",", b'"', b'"id"', b'"data_base64":"!"', b"null", b"true"]
EVENTS_OF = Mutator(
    [EVENT, EVENT.replace(b'"data"', b'"data_base64"'), b"[1,2,3]", b'{"id":"1"}', b"<a/>", b""],
    [*JSON, b'"traceid":1', b'"specversion":"0.3"', b"\\ud800", b'"data":', b'"id":"2",'],
)


def read_event(data: bytes, _folder: Path) -> None:
    """Read an event in one piece, and attributes of one in headers."""
    with contextlib.suppress(NotAnEvent):
        read_envelope(data)
    pairs = [
        (b"ce-" + name, value) for name, _, value in (x.partition(b":") for x in data.split(b","))
    ]
    with contextlib.suppress(NotAnEvent):
        binary_attributes(pairs)


EVENTS = Parser("events", EVENTS_OF, simple(read_event))


@contextlib.asynccontextmanager
async def app_of_events(_folder: Path) -> AsyncIterator[Read]:
    """Open an app that takes events with a dead letter topic: nothing may come again and again."""
    app = DaprFlow("shop")

    @app.topic("pubsub", "orders", dead_letter="dead")
    async def on_order(order: dict[str, int]) -> None: ...

    async with running(app) as caller:
        plain = Caller(caller.app)

        async def one(data: bytes) -> str | None:
            pairs = (("content-type", "application/cloudevents+json"),)
            answer = await plain.request("POST", "/dapr/topics/pubsub/orders", data, pairs)
            if answer.status >= SERVER_ERROR:
                return f"it is answered {answer.status}, so that it comes again"
            return None

        yield one


DELIVERIES = Parser("deliveries to an app", EVENTS_OF, app_of_events)


# ---- files --------------------------------------------------------------------------------------

HEAD = b"apiVersion: dapr.io/v1alpha1\nkind: %s\nmetadata: {name: x}\nspec:\n"
YAML = [
    b": ",
    b"- ",
    b"\n",
    b"  ",
    b"{",
    b"}",
    b"[",
    b"]",
    b"&a ",
    b"*a",
    b"!!python/object:x ",
    b"|",
]
YAML += [
    b"'",
    b'"',
    b"<<: {a: 1}",
    b"---\n",
    b"~",
    b"null",
    b"true",
    b"1:20",
    b"2024-01-01",
    b"kind: ",
]
RESOURCES = Mutator(
    [
        HEAD % b"Component"
        + b"  type: state.in-memory\n  version: v1\n  metadata: [{name: a, value: '1'}]\n",
        HEAD % b"Subscription" + b"  pubsubname: p\n  topic: t\n  routes: {default: /a}\n",
        HEAD % b"Resiliency"
        + b"  policies: {retries: {r: {policy: constant, duration: 1s, maxRetries: 3}}}\n"
        + b"  targets: {apps: {shop: {retry: r}}}\n",
    ],
    YAML,
)
SETTINGS = Mutator(
    [
        HEAD % b"Configuration"
        + b"  httpPipeline: {handlers: [{name: a, type: middleware.http.uppercase}]}\n",
        HEAD % b"Configuration"
        + b"  accessControl: {defaultAction: deny, policies: [{appId: a, operations: []}]}\n",
    ],
    YAML,
)


def read_resources(data: bytes, folder: Path) -> str | None:
    """Load a file of resources; each problem is of one line that names the file."""
    (folder / "x.yaml").write_bytes(data)
    for problem in load_resources([folder], "shop").problems:
        if "x.yaml" not in problem or "\n" in problem:
            return f"a problem names no file, or is longer than a line: {problem!r}"
    return None


def read_configuration(data: bytes, folder: Path) -> None:
    """Load a configuration."""
    file = folder / "x.yaml"
    file.write_bytes(data)
    with contextlib.suppress(DocumentError):
        load_configuration([file], {})


# ---- HTTP ---------------------------------------------------------------------------------------

QUICK = Limits(header_seconds=0.05, body_seconds=0.05, linger_seconds=0.02)
REQUEST_WORDS = [
    b"GET",
    b" ",
    b"/",
    b"%zz",
    b" HTTP/1.1",
    b"\r\n",
    b"\n",
    b"\x00",
    b"host: a\r\n",
    b":",
]
REQUEST_WORDS += [
    b"content-length: 3\r\n",
    b"content-length: -1\r\n",
    b"transfer-encoding: chunked\r\n",
]
REQUEST_WORDS += [
    b"\r\n\r\n",
    b"3\r\nabc\r\n",
    b"0\r\n\r\n",
    b"ffffffffffffffff\r\n",
    b"expect: 100-continue\r\n",
]
REQUESTS_OF = Mutator(
    [
        b"GET / HTTP/1.1\r\nhost: a\r\n\r\n",
        b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc",
    ]
    + [b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"],
    REQUEST_WORDS,
)
ANSWERS_OF = Mutator(
    [b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc", b"HTTP/1.1 204 No Content\r\n\r\n"]
    + [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"],
    [*REQUEST_WORDS, b"HTTP/1.1 ", b"100 Continue\r\n\r\n", b"999", b"HTTP/1.0 200 OK\r\n\r\n"],
)


@contextlib.asynccontextmanager
async def server_of_requests(_folder: Path) -> AsyncIterator[Read]:
    """Open a server; it answers in HTTP or not at all, and serves the next one."""

    async def echo(_scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    listener = socket.create_server((HOST, 0))
    server, port = HttpServer(echo, QUICK), listener.getsockname()[1]
    await server.start(listener)

    async def one(data: bytes) -> str | None:
        reader, writer = await asyncio.open_connection(HOST, port)
        answer = b""
        with contextlib.suppress(ConnectionError):
            writer.write(data)
            writer.write_eof()
            async with asyncio.timeout(10):
                answer = await reader.read()
        writer.close()
        if answer and not answer.startswith(b"HTTP/1.1 "):
            return f"it is answered {answer[:80]!r}"
        return "it is answered 500" if b"HTTP/1.1 500" in answer else None

    try:
        yield one
    finally:
        await server.stop(0)


@contextlib.asynccontextmanager
async def channel_of_answers(_folder: Path) -> AsyncIterator[Read]:
    """Open a channel to an app that answers anything: it is an answer, or the app is away."""
    now = [b""]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await reader.read(4096)
            writer.write(now[0])
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, HOST, 0)
    channel = HttpChannel(HOST, server.sockets[0].getsockname()[1])

    async def one(data: bytes) -> str | None:
        now[0] = data
        with contextlib.suppress(AppUnreachable):
            async with asyncio.timeout(10):
                await channel.send(HttpRequest("GET", "/", (), b""))
        return None

    try:
        yield one
    finally:
        await channel.close()
        server.close()


# ---- gRPC and workflows -------------------------------------------------------------------------

METHODS = (
    *("GetState", "SaveState", "PublishEvent", "InvokeBinding", "ScheduleJobAlpha1"),
    *("TryLockAlpha1", "RegisterActorReminder", "GetConfiguration", "BulkPublishEventAlpha1"),
)
MESSAGES_OF = Mutator(
    [
        messages.GetStateRequest(store_name="store", key="a").SerializeToString(),
        messages.SaveStateRequest(
            store_name="store", states=[messages.StateItem(key="a", value=b"1")]
        ).SerializeToString(),
        b"\x0a\x06pubsub\x12\x01t",
    ],
    [
        b"\x0a",
        b"\x12",
        b"\x1a",
        b"\x08",
        b"\xff\xff\xff\xff\x0f",
        b"\x01",
        b"store",
        b"pubsub",
        b"\x80",
    ],
)


@contextlib.asynccontextmanager
async def sidecar_of_messages(folder: Path) -> AsyncIterator[Read]:
    """Open a sidecar; any bytes to any method are answered in time, and not as unknown."""
    import grpc

    components: dict[str, tuple[str, dict[str, str]]] = {
        "store": ("state.in-memory", {}),
        "pubsub": ("pubsub.in-memory", {}),
    }
    bad = {grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNKNOWN}
    async with grpc_sidecar(folder, components) as sidecar:
        calls: list[Any] = [
            sidecar.channel.unary_unary(f"/dapr.proto.runtime.v1.Dapr/{name}") for name in METHODS
        ]

        async def one(data: bytes) -> str | None:
            number = sum(data) % len(METHODS)
            try:
                await calls[number](data, timeout=10)
            except grpc.aio.AioRpcError as error:
                if error.code() in bad:
                    return f"{METHODS[number]} is answered {error.code()}: {error.details()}"
            return None

        yield one


def histories() -> list[bytes]:
    """Return events of each shape that matters."""
    begun = wf.HistoryEvent(eventId=-1)
    begun.timestamp.seconds = 1
    begun.executionStarted.name = "w"
    begun.executionStarted.input.value = "1"
    timer = wf.HistoryEvent(eventId=2)
    timer.timerCreated.fireAt.seconds = 5
    failed = wf.HistoryEvent(eventId=-1)
    failed.taskFailed.taskScheduledId = 1
    failed.taskFailed.failureDetails.errorMessage = "no"
    return [event.SerializeToString() for event in (begun, timer, failed)]


def read_history(data: bytes, _folder: Path) -> str | None:
    """Read a message of a history as an event."""
    from google.protobuf.message import DecodeError

    with contextlib.suppress(DecodeError):
        message = wf.HistoryEvent.FromString(data)
        for whole in (True, False):
            if len(read_events([message], whole=whole)) != 1:
                return "a message is no event"
    return None


HISTORIES_OF = Mutator(
    histories(), [b"\x08", b"\x12", b"\x1a\x00", b"\x22\x05", b"\xff\xff\x0f", b"w"]
)

PARSERS = (
    TIMES,
    RULES,
    EVENTS,
    DELIVERIES,
    Parser("files of resources", RESOURCES, simple(read_resources)),
    Parser("configurations", SETTINGS, simple(read_configuration)),
    Parser("requests", REQUESTS_OF, server_of_requests),
    Parser("answers of an app", ANSWERS_OF, channel_of_answers),
    Parser("gRPC messages", MESSAGES_OF, sidecar_of_messages),
    Parser("histories", HISTORIES_OF, simple(read_history)),
)


class Tracebacks(logging.Handler):
    """Keeps what is logged with a stack."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one record."""
        if record.exc_info:
            self.texts.append(record.getMessage())
