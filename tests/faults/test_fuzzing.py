"""Whatever reads bytes from outside: any bytes give a value or the one error that is promised.

``DAPRFLOW_TEST_FUZZ=100000 pytest tests/faults/test_fuzzing.py`` tries that many for each, with
other inputs each time.
"""

# ruff: noqa: E501, RUF005 - tables of inputs are easier to read without breaks

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daprflow.protocol import messages
from daprflow.protocol import workflow_messages as wf
from daprflow.protocol.cloudevents import NotAnEvent, binary_attributes, read_envelope
from daprflow.protocol.expressions import ExpressionError, compile_expression
from daprflow.protocol.history_codec import read_events
from daprflow.protocol.moments import parse_moment
from daprflow.protocol.periods import parse_period, parse_time
from daprflow.protocol.schedules import ScheduleError, parse_duration, parse_job_schedule
from daprflow.sidecar.configuration_document import load_configuration
from daprflow.sidecar.resource_fields import DocumentError
from daprflow.sidecar.resources import load_resources
from daprflow.transports.server import HttpServer, Limits
from tests.helpers.grpc_sidecar import grpc_sidecar

EXAMPLES = 40
SLOWEST = 5.0
"""Seconds that reading one small input may take on a machine that has other things to do."""

Check = Callable[[Any], object]


def fuzz(inputs: st.SearchStrategy[Any], check: Check) -> None:
    """Try inputs: a few that repeat, or as many new ones as the environment asks for."""
    asked = os.environ.get("DAPRFLOW_TEST_FUZZ")
    budget = settings(
        max_examples=int(asked or EXAMPLES),
        derandomize=asked is None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )

    @budget
    @given(inputs)
    def tried(value: Any) -> None:
        began = time.monotonic()
        check(value)
        assert time.monotonic() - began < SLOWEST

    tried()


# ---- texts of times and rules -------------------------------------------------------------------

TOKENS = st.sampled_from(
    ["@every ", "@daily", "CRON_TZ=", "TZ=UTC", "Europe/Berlin", "*", "*/5", "-", ",", "0", "59"]
    + [
        "R",
        "P",
        "T",
        "D",
        "H",
        "M",
        "S",
        "W",
        "Y",
        "1h",
        "ms",
        "µs",
        ".",
        "/",
        " ",
        "MON",
        "9" * 30,
    ]
    + [
        "2024-01-01T00:00:00Z",
        "+14:00",
        "1" * 5_000,
        "\x00",
        "é",
        "\ud800",
        "٣",
        "-1",
        "L",
        "#2",
        "?",
    ]
)
TIMES = st.lists(TOKENS, max_size=8).map("".join) | st.text(max_size=30)


def only(error: type[Exception], read: Callable[[Any], object]) -> Check:
    """Return a check that nothing but ``error`` is raised."""

    def check(value: Any) -> None:
        with contextlib.suppress(error):
            read(value)

    return check


@pytest.mark.row("R-02")
@pytest.mark.parametrize(
    "read",
    [
        parse_job_schedule,
        parse_duration,
        parse_period,
        lambda text: parse_moment(text, 0.0),
        lambda text: parse_time(text, 0.0),
    ],
    ids=["schedule", "duration", "period", "moment", "time"],
)
def test_times(read: Callable[[str], object]) -> None:
    """A schedule, a duration or a moment is read, or refused as such."""
    fuzz(TIMES, only(ScheduleError, read))


CEL = st.lists(
    st.sampled_from(
        [
            "event",
            ".data",
            ".x",
            "['a']",
            "(",
            ")",
            "==",
            "&&",
            "!",
            "1",
            "1.5",
            "'a'",
            '"',
            "in",
            "[",
        ]
        + [
            "]",
            "has(",
            "size(",
            "matches('(a+)+$')",
            "?",
            ":",
            "9" * 40,
            "all(x, true)",
            "{",
            "}",
            " ",
        ]
    ),
    max_size=10,
).map("".join)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


def test_rules_of_routing() -> None:
    """An expression is compiled and decides about an event, or is refused."""

    def decide(case: tuple[str, Any]) -> None:
        with contextlib.suppress(ExpressionError):
            compile_expression(case[0]).matches({"data": case[1], "type": "t"})

    fuzz(st.tuples(CEL | st.text(max_size=20), VALUES), decide)


# ---- events -------------------------------------------------------------------------------------

JSON_PIECES = st.lists(
    st.sampled_from(
        [b"{", b"}", b"[", b"]", b":", b",", b'"id"', b'"source"', b'"type"', b'"specversion"']
        + [b'"1.0"', b'"a"', b"1", b"1e999", b"NaN", b"null", b"true", b'"\\ud800"', b"\xff", b" "]
        + [b'"data"', b'"data_base64"', b'"!"', b'"traceid"', b"9" * 5_000, b"[" * 3_000, b'"time"']
    ),
    max_size=14,
).map(b"".join)


@pytest.mark.row("FA-15")
def test_envelopes() -> None:
    """A body is an event, or it is none."""
    fuzz(JSON_PIECES | st.binary(max_size=60), only(NotAnEvent, read_envelope))


def test_headers_of_binary_events() -> None:
    """Whatever headers come, they are the attributes of an event or nothing."""
    names = st.sampled_from(
        [b"ce-id", b"ce_id", b"ce-source", b"ce-type", b"ce-specversion", b"ce-"]
    )
    headers = st.lists(st.tuples(names | st.binary(max_size=8), st.binary(max_size=12)), max_size=6)
    fuzz(headers, only(NotAnEvent, binary_attributes))


# ---- files --------------------------------------------------------------------------------------

COMPONENT = """apiVersion: dapr.io/v1alpha1
kind: Component
metadata:
  name: store
spec:
  type: state.in-memory
  version: v1
  metadata:
  - name: a
    value: "1"
scopes: [shop]
"""
SUBSCRIPTION = """apiVersion: dapr.io/v2alpha1
kind: Subscription
metadata:
  name: sub
spec:
  topic: orders
  pubsubname: pubsub
  routes:
    rules:
    - match: event.type == "vip"
      path: /vip
    default: /all
  bulkSubscribe: {enabled: true, maxMessagesCount: 5}
"""
RESILIENCY = """apiVersion: dapr.io/v1alpha1
kind: Resiliency
metadata:
  name: r
spec:
  policies:
    timeouts: {t: 1s}
    retries: {r: {policy: constant, duration: 1s, maxRetries: 3, matching: {httpStatusCodes: "500-599"}}}
    circuitBreakers: {c: {maxRequests: 1, timeout: 5s, trip: consecutiveFailures > 5}}
  targets:
    apps: {shop: {timeout: t, retry: r, circuitBreaker: c}}
"""
CONFIGURATION = """apiVersion: dapr.io/v1alpha1
kind: Configuration
metadata:
  name: c
spec:
  httpPipeline:
    handlers: [{name: a, type: middleware.http.uppercase}]
  accessControl:
    defaultAction: deny
    policies: [{appId: shop, operations: [{name: /a, httpVerb: [GET], action: allow}]}]
"""
ODD = st.sampled_from(
    [
        "null",
        "[]",
        "{}",
        "- x",
        '""',
        "1",
        "1e999",
        "true",
        "2024-01-01",
        "0x1F",
        "!!python/object:x {}",
    ]
    + [
        "&a [*a]",
        "*b",
        "{{x}}",
        "\t",
        "\x00",
        "é",
        ": :",
        "|",
        ">",
        "'",
        '"',
        "<<: {a: 1}",
        "1:20",
        "~",
    ]
    + ["-1s", "99999999999999999999", "9" * 5_000, "[" * 2_000, "---\n", "...\n"]
)


@st.composite
def edited(draw: st.DrawFn, text: str) -> str:
    """Put odd things into a sound file."""
    for _ in range(draw(st.integers(1, 3))):
        lines = text.splitlines(keepends=True)
        number = draw(st.integers(0, len(lines) - 1))
        match draw(st.sampled_from(["value", "line", "drop", "repeat", "cut", "indent"])):
            case "value":
                lines[number] = lines[number].partition(":")[0] + ": " + draw(ODD) + "\n"
            case "line":
                lines.insert(number, draw(ODD) + "\n")
            case "drop":
                del lines[number]
            case "repeat":
                lines.insert(number, lines[number])
            case "cut":
                lines = [*lines[:number], lines[number][: draw(st.integers(0, 20))]]
            case _:
                lines[number] = "  " + lines[number]
        text = "".join(lines) or "x"
    return text


@pytest.mark.row("FS-27")
@pytest.mark.parametrize(
    "text", [COMPONENT, SUBSCRIPTION, RESILIENCY], ids=["component", "subscription", "resiliency"]
)
def test_resource_files(tmp_path: Path, text: str) -> None:
    """Whatever stands in a file, there are resources, and problems of one line that name it."""
    file = tmp_path / "x.yaml"

    def load(content: str) -> None:
        file.write_text(content, encoding="utf-8", errors="surrogatepass")
        for problem in load_resources([tmp_path], "shop").problems:
            assert "x.yaml" in problem
            assert "Traceback" not in problem

    load(text)
    fuzz(edited(text), load)


def test_configuration_files(tmp_path: Path) -> None:
    """A configuration is read, or refused."""
    file = tmp_path / "x.yaml"

    def load(content: str) -> None:
        file.write_text(content, encoding="utf-8", errors="surrogatepass")
        with contextlib.suppress(DocumentError):
            load_configuration([file], {})

    load(CONFIGURATION)
    fuzz(edited(CONFIGURATION), load)


# ---- HTTP ---------------------------------------------------------------------------------------

PARTS = st.lists(
    st.sampled_from(
        [
            b"GET",
            b"POST",
            b" ",
            b"/",
            b"/%zz",
            b" HTTP/1.1",
            b" HTTP/9.9",
            b"\r\n",
            b"\n",
            b"\r",
            b"\x00",
        ]
        + [
            b"host: a\r\n",
            b"host:\r\n",
            b"content-length: 3\r\n",
            b"content-length: -1\r\n",
            b" x\r\n",
        ]
        + [
            b"transfer-encoding: chunked\r\n",
            b"transfer-encoding: xchunked\r\n",
            b"\r\n\r\n",
            b"abc",
        ]
        + [
            b"3\r\nabc\r\n0\r\n\r\n",
            b"ffffffffffffffff\r\n",
            b"connection: close\r\n",
            b"\xff\xfe",
            b":",
        ]
        + [b"upgrade: h2c\r\n", b"expect: 100-continue\r\n", b"x: " + b"y" * 5_000 + b"\r\n"]
    ),
    min_size=1,
    max_size=12,
).map(b"".join)


@pytest.mark.row("FA-23")
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # connections that the server broke off
def test_requests(caplog: pytest.LogCaptureFixture) -> None:
    """Any bytes at a port are answered as HTTP or not at all, and the next caller is served."""

    async def echo(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    async def talk(port: int, data: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.suppress(ConnectionError):
            writer.write(data)
            writer.write_eof()
            return await asyncio.wait_for(reader.read(), 10)
        return b""

    quick = Limits(header_seconds=0.2, body_seconds=0.2, linger_seconds=0.05)
    good = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
    with asyncio.Runner() as runner:
        listener = socket.create_server(("127.0.0.1", 0))
        server, port = HttpServer(echo, quick), listener.getsockname()[1]
        runner.run(server.start(listener))

        def check(data: bytes) -> None:
            answer = runner.run(talk(port, data))
            assert answer == b"" or answer.startswith(b"HTTP/1.1 "), answer[:80]
            assert b"HTTP/1.1 500" not in answer
            assert runner.run(talk(port, good)).startswith(b"HTTP/1.1 200")

        fuzz(PARTS | st.binary(min_size=1, max_size=80), check)
        runner.run(server.stop(0))
    assert [record for record in caplog.records if record.exc_info] == []


# ---- gRPC and workflows -------------------------------------------------------------------------

METHODS = (
    "GetState",
    "SaveState",
    "ExecuteStateTransaction",
    "PublishEvent",
    "BulkPublishEventAlpha1",
    "InvokeBinding",
    "ScheduleJobAlpha1",
    "TryLockAlpha1",
    "RegisterActorReminder",
    "InvokeService",
    "GetConfiguration",
)
REQUESTS: dict[str, bytes] = {
    "GetState": messages.GetStateRequest(store_name="store", key="a").SerializeToString(),
    "SaveState": messages.SaveStateRequest(
        store_name="store", states=[messages.StateItem(key="a", value=b"1")]
    ).SerializeToString(),
}


@st.composite
def damaged(draw: st.DrawFn, sound: bytes) -> bytes:
    """Change, cut or lengthen a message."""
    data = bytearray(sound)
    for _ in range(draw(st.integers(0, 4))):
        if data:
            data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(0, len(data)))]) + draw(st.binary(max_size=6))


@pytest.mark.row("FS-20")
def test_messages(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Any bytes to any method are answered or refused, and nothing is logged with a stack."""
    components: dict[str, tuple[str, dict[str, str]]] = {
        "store": ("state.in-memory", {}),
        "pubsub": ("pubsub.in-memory", {}),
    }
    inputs = st.sampled_from(METHODS).flatmap(
        lambda name: st.tuples(st.just(name), damaged(REQUESTS.get(name, b"\x0a\x01a\x12\x01b")))
    )
    with asyncio.Runner() as runner:
        stack = contextlib.AsyncExitStack()
        sidecar = runner.run(stack.enter_async_context(grpc_sidecar(tmp_path, components)))

        async def send(name: str, data: bytes) -> grpc.StatusCode:
            call: Any = sidecar.channel.unary_unary(f"/dapr.proto.runtime.v1.Dapr/{name}")
            try:
                await call(data, timeout=10)
            except grpc.aio.AioRpcError as error:
                return error.code()
            return grpc.StatusCode.OK

        def check(case: tuple[str, bytes]) -> None:
            assert runner.run(send(*case)) is not grpc.StatusCode.DEADLINE_EXCEEDED

        fuzz(inputs, check)
        assert runner.run(send("GetState", REQUESTS["GetState"])) is grpc.StatusCode.OK
        runner.run(stack.aclose())
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []


def sound_history() -> list[bytes]:
    """Return events of each shape that matters."""
    begun = wf.HistoryEvent(eventId=-1)
    begun.timestamp.seconds = 1
    begun.executionStarted.name = "w"
    begun.executionStarted.input.value = "1"
    task = wf.HistoryEvent(eventId=1)
    task.taskScheduled.name = "a"
    timer = wf.HistoryEvent(eventId=2)
    timer.timerCreated.fireAt.seconds = 5
    failed = wf.HistoryEvent(eventId=-1)
    failed.taskFailed.taskScheduledId = 1
    failed.taskFailed.failureDetails.errorMessage = "no"
    return [event.SerializeToString() for event in (begun, task, timer, failed)]


def test_histories() -> None:
    """Whatever a history's messages hold, those that are messages are read as events."""
    from google.protobuf.message import DecodeError

    def read(data: bytes) -> None:
        with contextlib.suppress(DecodeError):
            message = wf.HistoryEvent.FromString(data)
            for whole in (True, False):
                assert len(read_events([message], whole=whole)) == 1

    fuzz(st.sampled_from(sound_history()).flatmap(damaged), read)
