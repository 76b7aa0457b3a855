"""Log lines: one for each delivery, everything else the same way, and nothing secret in any."""

import asyncio
import io
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import structlog

from daprflow import DaprFlow, Drop, Retry, Topic
from daprflow.observability import LogFormat, Logs, Observability, Secret
from daprflow.observability.correlation import CORRELATION_ID
from daprflow.observability.logging_options import logs_from
from daprflow.settings import Settings, SettingsError
from daprflow.testing import TestSidecar
from tests.helpers.asgi import call_asgi

CANARY = "c4n4ry-5ecret-value"
DAPR_FIELDS = {"app_id", "instance", "level", "msg", "scope", "time", "type", "ver"}
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
HEADERS = (
    ("host", "localhost"),
    ("traceparent", f"00-{TRACE}-{SPAN}-01"),
    ("x-correlation-id", "corr-1"),
    ("metadata.deliverycount", "3"),
)


class Order(msgspec.Struct):
    id: int


orders = Topic("pubsub", "orders", Order)
logger = logging.getLogger("shop.orders")
log: Any = structlog.get_logger("shop.own")


def fail() -> None:
    """Raise an error with a cause, both with secrets."""
    try:
        dict[str, int]()[f"token={CANARY}"]
    except KeyError as error:
        raise ValueError(f"broken \x1b[31m\n{{'password': '{CANARY}'}}") from error


def make(logs: Logs) -> DaprFlow:
    """An app whose handler does what the order's number says."""
    settings = Settings(api_token="sidecar-t0ken", app_api_token="")
    app = DaprFlow("shop", observability=Observability(logs=logs), settings=settings)

    @app.topic(orders, dead_letter="dead")
    async def on_order(order: Order) -> None:
        logger.info("order %d, password=%s", order.id, CANARY, extra={"token": CANARY})
        log.info("own line", order=order.id, api_key=CANARY, wrapped=Secret(CANARY))
        if order.id == 2:
            raise Drop("no")
        if order.id == 3:
            raise Retry
        if order.id == 4:
            fail()

    @app.invoke
    async def quote(order: Order) -> int:
        return order.id

    return app


async def delivered(app: DaprFlow, number: int) -> int:
    """Deliver an order; the status of the answer."""
    body = (
        b'{"id":"event-\\u001b-1","data":{"id":%d},"datacontenttype":"application/json",'
        b'"specversion":"1.0","type":"t","source":"s","topic":"orders","pubsubname":"pubsub"}'
    )
    answer = await call_asgi(app, "POST", "/dapr/topics/pubsub/orders", HEADERS, body % number)
    return answer.status


def lines_of(stream: io.BytesIO) -> list[dict[str, Any]]:
    """The lines as JSON."""
    return [msgspec.json.decode(line) for line in stream.getvalue().splitlines()]


@pytest.fixture(autouse=True)
def _logging_stays_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    before = root.level, root.handlers[:], structlog.is_configured()
    yield
    assert (root.level, root.handlers[:], structlog.is_configured()) == before


async def logged(logs: Logs, *numbers: int) -> None:
    """Run an app and deliver these orders."""
    app = make(logs)
    async with app.lifespan():
        for number in numbers:
            await delivered(app, number)


async def test_a_delivery_has_one_line_with_daprs_fields() -> None:
    """It says what came, whose it was, what became of it and how long it took."""
    stream = io.BytesIO()
    await logged(Logs(stream=stream), 1)
    (line,) = [each for each in lines_of(stream) if each["scope"] == "daprflow.delivery"]
    assert line.keys() >= DAPR_FIELDS
    assert (line["app_id"], line["type"], line["level"]) == ("shop", "log", "info")
    assert line["msg"] == "topic pubsub/orders: success"
    assert (line["block"], line["name"], line["handler"]) == ("topic", "pubsub/orders", "on_order")
    assert (line["trace_id"], line["span_id"]) == (TRACE, SPAN)
    assert (line["correlation_id"], line["attempt"]) == ("corr-1", 3)
    assert line["event_id"] == "event-\\x1b-1"
    assert line["duration_ms"] >= 0
    assert line["verdict"] == "success"


PARENT = ("traceparent", f"00-{TRACE}-{SPAN}-00")
NO_PARENT = ("traceparent", f"00-{'0' * 32}-{'0' * 16}-00")


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ((), {}),
        ((NO_PARENT,), {}),
        ((PARENT,), {"trace_id": TRACE, "span_id": SPAN}),
        ((PARENT, NO_PARENT), {"trace_id": TRACE, "span_id": SPAN}),
        ((NO_PARENT, ("x-request-id", "r-1")), {"correlation_id": "r-1"}),
        ((("metadata.deliverycount", "2"),), {"attempt": 2}),
    ],
)
async def test_a_line_has_the_ids_that_came_and_no_others(
    headers: tuple[tuple[str, str], ...], found: dict[str, Any]
) -> None:
    """Whichever headers there are; the event's id stands there as it came, quotes and all."""
    stream = io.BytesIO()
    app = make(Logs(stream=stream))
    body = b'{"id":"a\\"b\\\\c","data":{"id":1},"specversion":"1.0","type":"t","source":"s"}'
    async with app.lifespan():
        await call_asgi(app, "POST", "/dapr/topics/pubsub/orders", headers, body)
    (line,) = [each for each in lines_of(stream) if each["scope"] == "daprflow.delivery"]
    names = ("trace_id", "span_id", "correlation_id", "attempt", "event_id")
    assert {each: line[each] for each in names if each in line} == {**found, "event_id": 'a"b\\c'}


async def test_what_becomes_of_a_delivery_decides_its_level() -> None:
    """Drop and retry warn, what is raised besides is an error, each with one line alone."""
    stream = io.BytesIO()
    await logged(Logs(stream=stream), 1, 2, 3, 4)
    lines = [each for each in lines_of(stream) if each["scope"].startswith("daprflow.")]
    said = [(each.get("verdict"), each["level"]) for each in lines]
    assert said == [
        ("success", "info"),
        ("drop", "warning"),
        ("retry", "warning"),
        ("error", "error"),
    ]


async def test_what_cannot_be_decoded_has_one_line() -> None:
    """Of a request, and of an event with and without a dead letter topic; it says what is wrong."""
    stream = io.BytesIO()
    app = DaprFlow("shop", observability=Observability(logs=Logs(stream=stream, deliveries=False)))

    @app.topic("pubsub", "orders", dead_letter="dead")
    async def on_order(order: Order) -> None: ...

    @app.topic("pubsub", "numbers")
    async def on_number(data: int) -> None: ...

    @app.invoke
    async def buy(order: Order) -> None: ...

    async with app.lifespan():
        for path in ("/dapr/topics/pubsub/orders", "/dapr/topics/pubsub/numbers", "/buy"):
            await call_asgi(app, "POST", path, HEADERS[:1], b'{"id":"1","data":{"id":"no"}}')
    lines = lines_of(stream)[1:]  # the first one asks for dead letter topics
    assert [(each["handler"], each["verdict"], each["level"]) for each in lines] == [
        ("on_order", "drop", "warning"),
        ("on_number", "error", "error"),
        ("buy", "refused", "info"),
    ]
    assert all("`" in each["error"]["message"] for each in lines)


async def test_an_exception_is_fields() -> None:
    """Type, text, stack and causes stand apart, and nothing secret is in the texts."""
    stream = io.BytesIO()
    await logged(Logs(stream=stream), 4)
    line = lines_of(stream)[-1]
    error = line["error"]
    assert error["type"] == "ValueError"
    assert error["message"] == "broken \\x1b[31m\n{'password': ***}"
    assert "on_order" in error["stack"][-2]
    assert [each["type"] for each in error["causes"]] == ["KeyError"]
    assert line["status"] == 500
    assert len(line["error_id"]) == 16


@pytest.mark.row("S-03", "S-24")
@pytest.mark.parametrize("form", list(LogFormat))
async def test_no_line_has_a_secret_or_a_control_code(form: LogFormat) -> None:
    """Neither fields, texts, extras nor exceptions show one, in either form (S-03, S-24)."""
    stream = io.BytesIO()
    app = make(Logs(stream=stream, format=form))
    async with TestSidecar(app, secrets={"vault": {"dsn": "fetched-s3cret"}}):
        assert await app.client.secret("vault", "dsn") == "fetched-s3cret"
        for number in (1, 2, 3, 4):
            await delivered(app, number)
        logger.warning("now fetched-s3cret and sidecar-t0ken stand in a text\r\x1b[2J")
        try:
            int(f"Bearer {CANARY}")
        except ValueError:
            logger.exception("failed with %s", {"authorization": CANARY})
            log.exception("failed", cookie=CANARY)
    text = stream.getvalue()
    assert b"failed" in text
    for secret in (CANARY, "fetched-s3cret", "sidecar-t0ken"):
        assert secret.encode() not in text
    assert b"\x1b" not in text
    assert b"\r" not in text


async def test_all_loggers_write_the_same_way_with_the_delivery_bound() -> None:
    """Lines of logging and of structlog have the ids of the delivery they were written in."""
    stream = io.BytesIO()
    await logged(Logs(stream=stream), 1)
    found = {each["scope"]: each for each in lines_of(stream)}
    for scope in ("shop.orders", "shop.own"):
        line = found[scope]
        assert line.keys() >= DAPR_FIELDS
        assert (line["trace_id"], line["handler"]) == (TRACE, "on_order")
    assert found["shop.own"]["order"] == 1
    assert found["shop.own"]["msg"] == "own line"


async def test_a_line_outside_of_deliveries_has_no_ids() -> None:
    """Nothing is bound before and after."""
    stream = io.BytesIO()
    app = make(Logs(stream=stream))
    async with app.lifespan():
        await delivered(app, 1)
        logger.info("between")
    line = next(each for each in lines_of(stream) if each["msg"] == "between")
    assert "trace_id" not in line
    assert "handler" not in line


async def test_a_correlation_id_that_was_made_here_counts() -> None:
    """The id that middleware has bound is that of the delivery's line, and of all others."""
    stream = io.BytesIO()
    app = make(Logs(stream=stream))
    async with app.lifespan():
        token = CORRELATION_ID.set("made-here")
        await delivered(app, 1)
        logger.info("outside")
        CORRELATION_ID.reset(token)
    assert len(lines_of(stream)) == 4
    assert {each["correlation_id"] for each in lines_of(stream)} == {"made-here"}


async def test_uvicorns_loggers_go_along() -> None:
    """Their own handlers are set aside, and lines of access to Dapr's paths are not doubled."""
    stream, own = io.BytesIO(), logging.StreamHandler(io.StringIO())
    uvicorn = logging.getLogger("uvicorn")
    uvicorn.addHandler(own)
    uvicorn.propagate = False
    app = make(Logs(stream=stream))
    async with app.lifespan():
        logging.getLogger("uvicorn.error").warning("a warning")
        access = logging.getLogger("uvicorn.access")
        access.setLevel(logging.INFO)
        for path in ("/dapr/topics/a/b", "/mine"):
            access.info('%s - "%s %s HTTP/%s" %d', "peer", "GET", path, "1.1", 200)
    scopes = [(each["scope"], each["msg"]) for each in lines_of(stream)]
    assert ("uvicorn.error", "a warning") in scopes
    assert [msg for scope, msg in scopes if scope == "uvicorn.access"] == [
        'peer - "GET /mine HTTP/1.1" 200'
    ]
    assert uvicorn.handlers == [own]
    assert uvicorn.propagate is False
    uvicorn.removeHandler(own)
    uvicorn.propagate = True


async def test_levels_and_quiet_deliveries() -> None:
    """Below the level nothing is written; without lines of deliveries, failures have one."""
    stream = io.BytesIO()
    await logged(Logs(stream=stream, level="warning"), 1, 2)
    assert [each["msg"] for each in lines_of(stream)] == ["topic pubsub/orders: drop"]
    stream = io.BytesIO()
    await logged(Logs(stream=stream, deliveries=False), 1, 2, 4)
    lines = [each for each in lines_of(stream) if each["scope"] == "daprflow.delivery"]
    assert [each["verdict"] for each in lines] == ["drop", "error"]


async def test_the_console_form_is_one_line_for_people() -> None:
    """Line breaks of messages are escaped there; a stack follows its line."""
    stream = io.BytesIO()
    app = make(Logs(stream=stream, format=LogFormat.CONSOLE))
    async with app.lifespan():
        logger.info("forged\n12:00:00 INFO admin: all well")
        await delivered(app, 4)
    text = stream.getvalue().decode()
    assert "forged\\n12:00:00" in text
    assert "ERROR   daprflow.delivery: topic pubsub/orders: error" in text
    assert "Traceback (most recent call last)" in text


async def test_lines_of_one_moment_are_written_together() -> None:
    """The line of a delivery waits for the loop to come round, and is there when the app ends."""
    stream = io.BytesIO()
    app = make(Logs(stream=stream, level="error"))
    async with app.lifespan():
        await asyncio.gather(*(delivered(app, 4) for _ in range(3)))
    assert len(lines_of(stream)) == 3


async def test_a_stream_that_is_gone_does_not_end_the_app() -> None:
    """Deliveries go on without their lines."""
    stream = io.BytesIO()
    stream.close()
    app = make(Logs(stream=stream))
    async with app.lifespan():
        assert await delivered(app, 1) == 200


async def test_an_authors_own_structlog_stays() -> None:
    """Who has set structlog up keeps it."""
    own: list[Any] = []

    def keep(_: object, __: str, event: Any) -> str:
        own.append(event)
        return str(event)

    structlog.configure(processors=[keep])
    try:
        stream = io.BytesIO()
        await logged(Logs(stream=stream), 1)
        assert own
        assert "own line" not in stream.getvalue().decode()
    finally:
        structlog.reset_defaults()


@pytest.mark.parametrize(
    ("environment", "logs"),
    [
        ({}, None),
        ({"DAPRFLOW_LOG_FORMAT": "plain"}, None),
        ({"DAPRFLOW_LOG_FORMAT": "json"}, Logs()),
        (
            {"DAPRFLOW_LOG_FORMAT": "Console", "DAPRFLOW_LOG_LEVEL": "warn"},
            Logs(format=LogFormat.CONSOLE, level="warn"),
        ),
    ],
)
def test_the_environment_says_how(environment: dict[str, str], logs: Logs | None) -> None:
    """DAPRFLOW_LOG_FORMAT and DAPRFLOW_LOG_LEVEL decide where the author did not."""
    assert logs_from(environment) == logs


@pytest.mark.parametrize(
    "environment",
    [
        {"DAPRFLOW_LOG_FORMAT": "xml"},
        {"DAPRFLOW_LOG_FORMAT": "json", "DAPRFLOW_LOG_LEVEL": "loud"},
    ],
)
def test_what_cannot_be_understood_is_told(environment: dict[str, str]) -> None:
    """The error names the variable."""
    with pytest.raises(SettingsError, match="DAPRFLOW_LOG_"):
        logs_from(environment)


PROCESS = """
import logging, sys
from daprflow.launcher.logs import configure_logging, name_process
configure_logging("info")
logging.getLogger("boot").info("token=%s", "c4n4ry-5ecret-value")
logging.getLogger("boot").debug("quiet")
name_process("orders")
logging.getLogger("daprflow.sidecar").info("it is up")
"""


def test_a_process_of_ours_logs_in_the_form_of_its_environment() -> None:
    """The commands write JSON lines before an app is there, with its id where that is known."""
    done = subprocess.run(
        [sys.executable, "-c", PROCESS],
        env={"DAPRFLOW_LOG_FORMAT": "json", "APP_ID": "shop", "PATH": ""},
        check=True,
        capture_output=True,
    )
    lines = [msgspec.json.decode(each) for each in done.stderr.splitlines()]
    assert [(each["app_id"], each["scope"], each["msg"]) for each in lines] == [
        ("shop", "boot", "token=***"),
        ("orders", "daprflow.sidecar", "it is up"),  # once it is known whose sidecar it is
    ]


def test_the_extra_is_named_where_it_is_missing() -> None:
    """Without structlog, whoever asks for such lines is given the pip line."""
    program = (
        "import sys; sys.modules['structlog'] = None\n"
        "from daprflow.observability import Observability\n"
        "Observability(logs=True).resolved('a', {})"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    assert "pip install 'daprflow[logs]'" in done.stderr
