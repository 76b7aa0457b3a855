"""Binding, cron and invoke handlers."""

import asyncio
import logging
from dataclasses import dataclass

import msgspec
import pydantic
import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from daprflow import BindingEvent, Client, DaprFlow, Drop, Endpoint, Retry
from tests.helpers.app_calls import running


class Sms(msgspec.Struct):
    text: str


class Quote(pydantic.BaseModel):
    price: int


@dataclass
class Line:
    sku: str


async def test_a_binding_event_carries_metadata() -> None:
    """What a component says, such as Kafka's key, partition and offset, reaches the handler."""
    seen: list[BindingEvent[Sms]] = []
    app = DaprFlow("shop")

    @app.binding("sms-in")
    async def on_sms(event: BindingEvent[Sms]) -> None:
        seen.append(event)

    headers = [
        ("host", "127.0.0.1:6001"),
        ("content-type", "application/json"),
        ("content-length", "13"),
        ("dapr-api-token", "token"),
        ("connection", "keep-alive"),
        ("transfer-encoding", "chunked"),
        ("key", "Grüße"),
        ("partition", "3"),
        ("offset", "17"),
        ("traceparent", "00-0-0-00"),
    ]
    async with running(app) as call:
        answer = await call.post("/sms-in", b'{"text":"hi"}', headers)
    assert (answer.status, answer.body) == (200, b"{}")
    assert seen == [
        BindingEvent(
            Sms("hi"),
            {"key": "Grüße", "partition": "3", "offset": "17", "traceparent": "00-0-0-00"},
        )
    ]


async def test_a_binding_payload_can_be_bare_or_raw() -> None:
    """The payload is the body: typed, bytes or text."""
    seen: list[object] = []
    app = DaprFlow("shop")

    @app.binding("typed")
    async def typed(sms: Sms) -> None:
        seen.append(sms)

    @app.binding("raw")
    async def raw(body: bytes) -> None:
        seen.append(body)

    @app.binding("/hooks/text")
    async def text(body: str) -> None:
        seen.append(body)

    async with running(app) as call:
        await call.post("/typed", b'{"text":"hi"}')
        await call.post("/raw", b"\xff")
        await call.post("/hooks/text", b"hi")
    assert seen == [Sms("hi"), b"\xff", "hi"]


async def test_a_cron_tick_needs_no_payload() -> None:
    """A tick has an empty body; its handler may take nothing, or the event for its metadata."""
    seen: list[object] = []
    app = DaprFlow("shop")

    @app.cron("sweep", "@every 15m")
    async def sweep(*, client: Client) -> None:
        seen.append(client)

    @app.cron("report", "0 0 3 * * *")
    async def report(event: BindingEvent[None]) -> None:
        seen.append(event.metadata["timezone"])

    async with running(app) as call:
        assert (await call.post("/sweep")).status == 200
        assert (await call.post("/report", headers=[("timezone", "Local")])).status == 200
        assert seen == [app.client, "Local"]
    assert [(cron.name, cron.schedule) for cron in app.crons()] == [
        ("sweep", "@every 15m"),
        ("report", "0 0 3 * * *"),
    ]


@pytest.mark.row("FA-09")
@pytest.mark.parametrize(
    ("error", "status"),
    [(Retry(), 500), (Drop(), 200), (ValueError(), 500), (HTTPException(404), 500)],
    ids=lambda value: type(value).__name__,
)
async def test_how_a_binding_handler_ends(error: Exception, status: int) -> None:
    """Anything but Drop makes the component deliver the event again; never 204 or 404."""
    app = DaprFlow("shop")

    @app.binding("sms-in")
    async def on_sms(event: BindingEvent[Sms]) -> None:
        raise error

    async with running(app) as call:
        answer = await call.post("/sms-in", b'{"text":"hi"}')
    assert answer.status == status
    assert answer.body != b""


@pytest.mark.parametrize("body", [b"", b"{", b'{"text":5}', b"\xff"])
async def test_an_undecodable_binding_event_is_500(
    body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """It is not acknowledged, and the log names the handler without a traceback."""
    app = DaprFlow("shop")

    @app.binding("sms-in")
    async def on_sms(event: BindingEvent[Sms]) -> None: ...

    async with running(app) as call:
        caplog.clear()
        assert (await call.post("/sms-in", body)).status == 500
    [record] = caplog.records
    assert "binding handler 'on_sms'" in record.getMessage()
    assert record.exc_info is None


def invokable() -> DaprFlow:
    """An app with one method of each kind of answer."""
    app = DaprFlow("shop")

    @app.invoke
    async def typed(sms: Sms) -> list[Sms]:
        return [sms, sms]

    @app.invoke
    async def model(quote: Quote) -> Quote:
        return Quote(price=quote.price + 1)

    @app.invoke
    async def nested(quote: Quote) -> dict[str, list[Quote]]:
        return {"all": [quote]}

    @app.invoke
    async def line(found: Line) -> Line:
        return found

    @app.invoke
    def text() -> str:
        return "plain é"

    @app.invoke
    def raw(body: bytes) -> bytes:
        return body[::-1]

    @app.invoke
    async def nothing() -> None: ...

    @app.invoke(name="list-all")
    async def listed(*, request: Request) -> dict[str, str]:
        assert await request.body() == b"body"
        return dict(request.query_params)

    return app


@pytest.mark.parametrize(
    ("path", "body", "wanted", "content_type"),
    [
        ("/typed", b'{"text":"a"}', b'[{"text":"a"},{"text":"a"}]', "application/json"),
        ("/model", b'{"price":1}', b'{"price":2}', "application/json"),
        ("/nested", b'{"price":1}', b'{"all":[{"price":1}]}', "application/json"),
        ("/line", b'{"sku":"x"}', b'{"sku":"x"}', "application/json"),
        ("/text", b"", "plain é".encode(), "text/plain; charset=utf-8"),
        ("/raw", b"\x00\xff", b"\xff\x00", "application/octet-stream"),
        ("/nothing", b"", b"null", "application/json"),
        ("/list-all?a=1&b=%20x", b"body", b'{"a":"1","b":" x"}', "application/json"),
    ],
)
async def test_invoke_answers_are_typed(
    path: str, body: bytes, wanted: bytes, content_type: str
) -> None:
    """JSON for values, text and bytes as they are; the query comes through Request."""
    async with running(invokable()) as call:
        answer = await call.post(path, body)
    assert (answer.status, answer.body) == (200, wanted)
    assert answer.headers["content-type"] == content_type


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("/typed", b'{"text":5}', "$.text"),
        ("/typed", b"", "empty"),
        ("/typed", b"{", "not JSON"),
        ("/model", b'{"price":"hush"}', "price"),
    ],
)
async def test_a_wrong_payload_is_400(path: str, body: bytes, named: str) -> None:
    """The caller is told the place and the rule, not its own values."""
    async with running(invokable()) as call:
        answer = await call.post(path, body)
    assert answer.status == 400
    assert named in answer.json["error"]
    assert "hush" not in answer.json["error"]


@pytest.mark.row("FA-09")
@pytest.mark.parametrize(
    ("error", "status", "body"),
    [
        (HTTPException(404, "no such order"), 404, b'{"error":"no such order"}'),
        (HTTPException(422, "bad", {"X-Reason": "r"}), 422, b'{"error":"bad"}'),
        (HTTPException(422, {"field": ["id"]}), 422, b'{"error":{"field":["id"]}}'),  # type: ignore[arg-type]  # as FastAPI's may have
        (HTTPException(422, object), 422, b"""{"error":"<class 'object'>"}"""),  # type: ignore[arg-type]  # no JSON
        (HTTPException(304), 304, b""),
    ],
    ids=str,
)
async def test_what_an_invoke_handler_raises(error: Exception, status: int, body: bytes) -> None:
    """An HTTPException keeps its status and headers."""
    app = DaprFlow("shop")

    @app.invoke
    async def quote() -> int:
        raise error

    async with running(app) as call:
        answer = await call.post("/quote")
    assert (answer.status, answer.body) == (status, body)
    assert answer.headers.get("x-reason", "r") == "r"


@pytest.mark.row("S-15")
@pytest.mark.row("S-25")
@pytest.mark.parametrize("error", [ValueError("secret"), Retry("secret")], ids=str)
async def test_a_caller_is_told_an_error_id_only(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the exception nor its class; the log has the id together with the traceback."""
    app = DaprFlow("shop")

    @app.invoke
    async def quote() -> int:
        raise error

    async with running(app) as call:
        answer = await call.post("/quote")
    error_id = answer.json["error_id"]
    assert (answer.status, answer.json) == (500, {"error": "handler failed", "error_id": error_id})
    (record,) = [each for each in caplog.records if error_id in each.getMessage()]
    assert record.exc_info is not None
    assert record.exc_info[1] is error


async def test_any_header_of_a_refusal_can_be_sent() -> None:
    """Text beyond Latin-1 goes as UTF-8, and a line break begins no header of its own."""
    app = DaprFlow("shop")

    @app.invoke
    async def quote() -> int:
        raise HTTPException(409, "taken", {"x-by": "Łukasz", "x-two": "a\r\nset-cookie: b"})

    async with running(app) as call:
        answer = await call.post("/quote")
    assert answer.status == 409
    assert answer.headers["x-by"] == "Łukasz"
    assert answer.headers["x-two"] == "a  set-cookie: b"


@pytest.mark.row("FA-11")
@pytest.mark.parametrize("kind", ["invoke", "binding", "topic"])
async def test_waiting_for_something_cancelled_is_a_failure(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A CancelledError that no one sent to the request is the handler's own: 500 and a log line."""
    app = DaprFlow("shop")

    async def quote() -> None:
        task = asyncio.create_task(asyncio.Event().wait())
        task.cancel()
        await task

    match kind:
        case "topic":
            app.topic("pubsub", "orders")(quote)
        case "binding":
            app.binding("quote")(quote)
        case _:
            app.invoke(quote)
    async with running(app) as call:
        answer = await call.post("/dapr/topics/pubsub/orders" if kind == "topic" else "/quote")
    assert (answer.status, answer.json["error"]) == (500, "handler failed")
    assert "'quote'" in caplog.text


async def test_a_cancelled_request_is_cancelled() -> None:
    """What a server cancels is passed on, not answered."""
    app, begun = DaprFlow("shop"), asyncio.Event()

    @app.invoke
    async def quote() -> None:
        begun.set()
        await asyncio.Event().wait()

    async with running(app) as call:
        request = asyncio.create_task(call.post("/quote"))
        await begun.wait()
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request


async def test_an_answer_that_cannot_be_encoded_is_500(caplog: pytest.LogCaptureFixture) -> None:
    """The log names the type that has no JSON form."""
    app = DaprFlow("shop")

    @app.invoke
    async def quote() -> object:
        return object()

    caplog.set_level(logging.ERROR)
    async with running(app) as call:
        assert (await call.post("/quote")).status == 500
    assert "'object' cannot be encoded" in caplog.text


async def test_an_own_endpoint_is_a_handle_and_a_function() -> None:
    """What ``@app.invoke`` returns knows its address and types and can be called as written."""
    app = DaprFlow("shop")

    @app.invoke
    async def quote(sms: Sms, *, factor: int = 2) -> list[Sms]:
        return [sms] * factor

    @app.invoke
    def total() -> int:
        return 7

    handle: Endpoint[Sms, list[Sms]] = quote
    assert (handle.app_id, handle.method) == ("shop", "quote")
    assert (handle.takes, handle.returns) == (Sms, list[Sms])
    assert (total.takes, total.returns) == (type(None), int)
    assert await quote(Sms("x")) == [Sms("x")] * 2  # type: ignore[operator]  # typed as a handle
    assert total() == 7  # type: ignore[operator]  # as above
    assert repr(quote) == "Endpoint('shop', 'quote')"


def test_a_foreign_endpoint_cannot_be_called() -> None:
    """A handle of another app is an address, not a function."""
    price = Endpoint("pricing", "price", Sms, int)
    with pytest.raises(TypeError, match="not callable"):
        price(Sms("x"))  # type: ignore[operator]  # the point
