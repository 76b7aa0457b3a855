"""Error answers: problems with an id, never a stack and never a payload."""

import re
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route

from daprflow import DaprFlow, Delivery, Next, Outcome, Router
from daprflow.middleware import ErrorHandling
from tests.helpers.app_calls import Answer, Caller, event, running

SECRET = "hunter2-in-the-payload"
LOCAL = ("127.0.0.1", 1)


def pages(**options: Any) -> Caller:
    """A Starlette app whose routes fail in every way."""

    async def raises(request: Request) -> None:
        raise ValueError(SECRET)

    async def teapot(request: Request) -> None:
        raise HTTPException(418, "short and stout", {"x-tea": "1"})

    async def down(request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"database {SECRET}", 503)

    async def own(request: Request) -> JSONResponse:
        return JSONResponse({"mine": [1]}, 422)

    async def begun(request: Request) -> StreamingResponse:
        async def pieces() -> Any:
            yield b"a"
            raise ValueError(SECRET)

        return StreamingResponse(pieces())

    routes = [Route(f"/{each.__name__}", each) for each in (raises, teapot, down, own, begun)]
    return Caller(Starlette(routes=routes, middleware=[Middleware(ErrorHandling, **options)]))


def is_problem(answer: Answer, status: int, title: str, **more: str) -> None:
    """Check an answer against RFC 9457."""
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["content-length"] == str(len(answer.body))
    assert answer.json == {"title": title, "status": status, **more}


async def test_what_is_raised_is_a_problem_with_an_id(caplog: pytest.LogCaptureFixture) -> None:
    """The log has the traceback under the same id; the answer has nothing of it."""
    answer = await pages().get("/raises")
    error_id = answer.json["error_id"]
    is_problem(answer, 500, "Internal Server Error", error_id=error_id)
    assert re.fullmatch("[0-9a-f]{16}", error_id)
    assert f"answered 500 to 'GET /raises', error id {error_id}" in caplog.text
    assert "Traceback" in caplog.text


async def test_what_a_caller_did_wrong_is_said() -> None:
    """Below 500 the reason goes along, and so do the headers."""
    answer = await pages().get("/teapot")
    is_problem(answer, 418, "I'm a Teapot", detail="short and stout")
    assert answer.headers["x-tea"] == "1"
    is_problem(await pages().get("/nowhere"), 404, "Not Found")


async def test_the_reason_of_a_server_error_stays_inside() -> None:
    """From 500 up, whatever the route said of it."""
    answer = await pages().get("/down")
    is_problem(answer, 503, "Service Unavailable", error_id=answer.json["error_id"])


async def test_json_of_the_apps_own_is_left_alone() -> None:
    """An error that has a form already keeps it."""
    answer = await pages().get("/own")
    assert (answer.status, answer.json) == (422, {"mine": [1]})


async def test_an_answer_that_has_begun_is_not_answered_again() -> None:
    """The server ends the connection."""
    with pytest.raises(ValueError, match=SECRET):
        await pages().get("/begun")


@pytest.mark.row("S-25")
async def test_debug_shows_the_traceback_on_this_machine_alone() -> None:
    """Not to who came from elsewhere, nor through a sidecar or a proxy."""
    call = pages(debug=True)
    near: dict[str, Any] = {"client": LOCAL, "server": LOCAL}
    answer = await call.request("GET", "/raises", **near)
    assert "Traceback" in answer.json["exception"]
    for extra in ({"client": ("10.0.0.7", 1)}, {"server": ("10.0.0.7", 1)}, {"client": None}):
        assert "exception" not in (await call.request("GET", "/raises", **{**near, **extra})).json
    for name in ("dapr-caller-app-id", "x-forwarded-for"):
        answer = await call.request("GET", "/raises", headers=[(name, "x")], **near)
        assert "exception" not in answer.json


def failing(**options: Any) -> DaprFlow:
    """An app whose handlers and interceptors fail in every way, with secrets in all of it."""
    app = DaprFlow("shop", **options)

    async def broken(delivery: Delivery, call: Next) -> Outcome:
        raise KeyError(SECRET)

    @app.topic("pubsub", "orders")
    async def on_order(data: str) -> None:
        raise ValueError(data, SECRET)

    @app.topic("pubsub", "numbers")
    async def on_number(data: int) -> None: ...

    @app.binding("sms")
    async def on_sms(data: str) -> None:
        raise ValueError(data)

    @app.job("report")
    async def report() -> None:
        raise ValueError(SECRET)

    @app.invoke
    async def quote(data: str) -> int:
        raise ValueError(data)

    @app.invoke(interceptors=[broken])
    async def intercepted() -> int:
        return 1

    @app.invoke
    async def number(data: int) -> int:
        return data

    @app.on_error(KeyError)
    async def on_key(error: KeyError) -> Outcome:
        raise error

    return app


CALLS = [
    ("POST", "/dapr/topics/pubsub/orders", event(SECRET)),
    ("POST", "/dapr/topics/pubsub/numbers", event(SECRET)),
    ("POST", "/dapr/topics/pubsub/numbers", SECRET.encode()),
    ("POST", "/dapr/topics/pubsub/unknown", event(SECRET)),
    ("POST", "/sms", f'"{SECRET}"'.encode()),
    ("POST", "/job/report", b"{}"),
    ("POST", "/job/unknown", b"{}"),
    ("POST", "/quote", f'"{SECRET}"'.encode()),
    ("POST", "/intercepted", b""),
    ("POST", "/number", f'"{SECRET}"'.encode()),
    ("DELETE", "/number", b""),
    ("GET", "/nowhere", b""),
]


@pytest.mark.row("S-25")
@pytest.mark.parametrize("guarded", [False, True], ids=["bare", "with ErrorHandling"])
async def test_s25_no_error_answer_has_a_stack_a_payload_or_a_place(guarded: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Every error of every kind of endpoint, by itself and with the middleware."""
    app = failing(middleware=[Middleware(ErrorHandling)] if guarded else [])
    async with running(app) as call:
        for method, path, body in CALLS:
            answer = await call.request(method, path, body, [("content-type", "application/json")])
            assert answer.status >= 400, path
            text = answer.body.decode()
            for leak in (SECRET, "Traceback", ".py", "line ", "site-packages", __name__):
                assert leak not in text, (path, text)


async def test_s25_a_caller_of_a_handler_gets_an_id(caplog: pytest.LogCaptureFixture) -> None:
    """In the place of the exception; it is that of the line with the handler's traceback."""
    app = failing(middleware=[Middleware(ErrorHandling)])
    async with running(app) as call:
        answer = await call.post("/quote", b'"x"')
        is_problem(answer, 500, "Internal Server Error", error_id=answer.json["error_id"])
        (record,) = [r for r in caplog.records if answer.json["error_id"] in r.getMessage()]
        assert record.exc_info is not None
        assert isinstance(record.exc_info[1], ValueError)
        answer = await call.post("/number", b'"x"')
        assert (answer.status, "error_id" in answer.json) == (400, False)
        assert "int" in answer.json["detail"]


async def test_what_a_sidecar_is_answered_stays_as_it_is() -> None:
    """It reads verdicts, not problems; a router of methods may have them."""
    app = failing(middleware=[Middleware(ErrorHandling)])
    async with running(app) as call:
        assert "error" in (await call.deliver("x")).json
    app, router = DaprFlow("shop"), Router(middleware=[Middleware(ErrorHandling)])
    app.include(router)

    @router.invoke
    async def quote() -> int:
        raise ValueError

    async with running(app) as call:
        assert "error_id" in (await call.post("/quote")).json
