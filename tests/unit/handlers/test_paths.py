"""Invoke handlers with a verb and a path: routing, parameters, answers."""

import logging
import re
from collections.abc import Callable
from datetime import date
from typing import Annotated, Any
from uuid import UUID

import msgspec
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from daprflow import AppDefinitionError, DaprFlow, Endpoint, Header, Path, Query, Topic
from daprflow.settings import Settings
from tests.helpers.app_calls import Caller, running


class Order(msgspec.Struct):
    number: str
    total: int = 0


class Search(msgspec.Struct, rename="camel"):
    order_id: Annotated[str, Path("number")]
    page_size: Annotated[int, Query()] = 10
    tenant_name: Annotated[str, Header("x-tenant")] = "none"
    extra_text: str = ""


async def host_page(_: Request) -> PlainTextResponse:
    """A route of another application."""
    return PlainTextResponse("host")


def shop() -> DaprFlow:
    """An app with several verbs on a path."""
    app = DaprFlow("shop")

    @app.invoke("GET", "/orders/{number}")
    async def get(*, number: str) -> Order:
        return Order(number, 1)

    @app.invoke("put", "/orders/{number}", status=201)
    def put(order: Order, *, number: str) -> str:
        return f"{number}={order.total}"

    @app.invoke("DELETE", "/orders/{number}")
    async def delete(*, number: str) -> None: ...

    @app.invoke("GET", "/orders/latest")
    async def latest() -> str:
        return "latest"

    @app.invoke
    async def quote(order: Order) -> int:
        return order.total

    @app.binding("sms-in")
    async def on_sms(text: str) -> None: ...

    return app


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("GET", "/orders/7", 200, b'{"number":"7","total":1}'),
        ("GET", "/orders/latest", 200, b"latest"),
        ("PUT", "/orders/latest", 201, b"latest=0"),
        ("HEAD", "/orders/7", 200, b""),
        ("HEAD", "/orders/latest", 200, b""),
        ("DELETE", "/orders/7", 204, b""),
        ("GET", "/orders/a%2Fb%20%C3%BC", 200, '{"number":"a/b ü","total":1}'.encode()),
        ("GET", "/orders/a%252Fb", 200, b'{"number":"a%2Fb","total":1}'),
        ("GET", "/%6Frders/7", 200, b'{"number":"7","total":1}'),
        ("GET", "/orders/%FF", 400, b"""{"error":"path parameter 'number' is not UTF-8"}"""),
        ("GET", "/orders/", 404, None),
        ("GET", "/orders//", 404, None),
        ("GET", "/orders/7/8", 404, None),
        ("GET", "/orders", 404, None),
        ("PATCH", "/orders/7", 405, b'{"error":"this path takes DELETE, GET, HEAD, PUT"}'),
        ("OPTIONS", "/orders/7", 404, None),
        ("OPTIONS", "/quote", 404, None),
        ("GET", "/quote", 405, b'{"error":"this path takes POST"}'),
        ("GET", "/sms-in", 404, None),
        ("OPTIONS", "/sms-in", 200, b"{}"),
        ("OPTIONS", "/unknown", 404, None),
    ],
)
async def test_a_verb_and_a_path_lead_to_a_handler(
    method: str, path: str, status: int, body: bytes | None
) -> None:
    """A text goes before a parameter, an encoded slash stays inside, other verbs are 405."""
    async with running(shop()) as call:
        answer = await call.request(method, path, b'{"number":"7"}' if method == "PUT" else b"")
    assert answer.status == status
    if body is not None:
        assert answer.body == body


async def test_405_names_what_is_allowed() -> None:
    """The Allow header has every verb of the path."""
    async with running(shop()) as call:
        answer = await call.request("PATCH", "/orders/latest")
    assert answer.headers["allow"] == "DELETE, GET, HEAD, PUT"


async def test_405_needs_the_token_too() -> None:
    """Who has no token learns nothing of the verbs."""
    app = DaprFlow("shop", settings=Settings(app_api_token="secret"))

    @app.invoke("GET", "/a")
    async def a() -> None: ...

    async with running(app) as call:
        assert (await call.request("POST", "/a")).status == 401


async def test_no_content_has_no_type() -> None:
    """204 carries neither a body nor the type of one."""
    async with running(shop()) as call:
        answer = await call.request("DELETE", "/orders/7")
    assert "content-type" not in answer.headers


async def test_head_has_the_length_of_get() -> None:
    """HEAD answers the headers of GET."""
    async with running(shop()) as call:
        head, get = await call.request("HEAD", "/orders/7"), await call.get("/orders/7")
    assert head.headers == get.headers


async def test_an_own_head_handler_goes_first() -> None:
    """HEAD is only answered by GET where nobody declares it."""
    app = DaprFlow("shop")

    @app.invoke("HEAD", "/a/{b}")
    async def head(*, b: str) -> Response:
        return Response(headers={"x-head": b})

    @app.invoke("GET", "/a/{b}")
    async def get(*, b: str) -> str:
        return b

    async with running(app) as call:
        assert (await call.request("HEAD", "/a/x")).headers["x-head"] == "x"


async def test_a_hosts_route_with_that_verb_goes_before_405() -> None:
    """Installed, a path is shared with the host: only verbs that nobody has are 405."""
    host = Starlette(routes=[Route("/orders/{number}", host_page, methods=["PATCH"])])
    app = shop()
    app.install(host)
    async with app.lifespan():
        call = Caller(host)
        assert (await call.request("PATCH", "/orders/7")).body == b"host"
        assert (await call.request("GET", "/orders/7")).status == 200
        assert (await call.request("POST", "/orders/7")).status == 405


async def test_a_wrapped_application_keeps_the_other_verbs() -> None:
    """Wrapping, whatever is not ours is passed on, also on a path that has handlers."""
    other = Starlette(routes=[Route("/orders/{number}", host_page, methods=["PATCH"])])
    app = shop()
    wrapped = app.wrap(other)
    async with app.lifespan():
        call = Caller(wrapped)
        assert (await call.request("PATCH", "/orders/7")).body == b"host"
        assert (await call.request("DELETE", "/orders/7")).status == 204


async def test_a_server_without_raw_paths_is_served() -> None:
    """Where the path comes decoded alone, a slash ends a part."""
    async with running(shop()) as call:
        assert (await call.request("GET", "/orders/7", raw_path=None)).status == 200


class Money:
    """A class without a codec."""


def parametrised() -> DaprFlow:
    """An app whose method takes parameters of every sort."""
    app = DaprFlow("shop")

    @app.invoke("GET", "/find/{day}")
    async def find(
        *,
        day: date,
        page: Annotated[int, Query()] = 1,
        big: Annotated[bool, Query("is-big")] = False,
        tag: Annotated[list[int], Query()],
        tenant_id: Annotated[UUID | None, Header()] = None,
        raw: Annotated[bytes, Header("x-raw")] = b"",
        limited: Annotated[int, msgspec.Meta(le=9), Query] = 0,
        request: Request,
    ) -> list[Any]:
        assert request.path_params == {"day": day.isoformat()}
        return [day, page, big, tag, tenant_id, raw, limited]

    return app


async def test_parameters_arrive_as_annotated() -> None:
    """Path, query and headers, repeated keys as a list, defaults where nothing is given."""
    headers = [("tenant-id", "00000000-0000-0000-0000-000000000001"), ("x-raw", "ü")]
    async with running(parametrised()) as call:
        answer = await call.get("/find/2026-01-02?page=2&tag=1&tag=2&is-big=true", headers)
        plain = await call.get("/find/2026-01-02?tag=1")
    expected = ["2026-01-02", 2, True, [1, 2], "00000000-0000-0000-0000-000000000001", "w7w=", 0]
    assert answer.json == expected
    assert plain.json == ["2026-01-02", 1, False, [1], None, "", 0]


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ("/find/2026-01-02", "query parameter 'tag' is missing"),
        ("/find/secret?tag=1", "path parameter 'day': Invalid RFC3339 encoded date"),
        ("/find/2026-01-02?tag=1&page=secret", "query parameter 'page': Expected `int`, got `str`"),
        ("/find/2026-01-02?tag=1&page=1&page=2", "query parameter 'page' is given 2 times"),
        (
            "/find/2026-01-02?tag=secret",
            "query parameter 'tag': Expected `int`, got `str` - at `$[0]`",
        ),
        ("/find/2026-01-02?tag=1&limited=10", "query parameter 'limited': Expected `int` <= 9"),
        ("/find/2026-01-02?tag=%FF", "query parameter 'tag' is not UTF-8"),
    ],
)
async def test_a_bad_parameter_is_refused_by_name(
    target: str, error: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The answer is 400 and names the parameter; its value stands nowhere."""
    caplog.set_level(logging.DEBUG)
    async with running(parametrised()) as call:
        answer = await call.get(target)
    assert (answer.status, answer.json) == (400, {"error": error})
    assert "secret" not in caplog.text
    assert error in caplog.text


async def test_a_bad_header_is_refused_by_name() -> None:
    """A header that does not fit is named as it is called in the request."""
    async with running(parametrised()) as call:
        answer = await call.get("/find/2026-01-02?tag=1", [("tenant-id", "secret")])
    assert answer.json == {"error": "header 'tenant-id': Invalid UUID"}


async def test_marked_fields_stand_beside_the_body() -> None:
    """A payload may be put together from path, query, headers and body; none gives another's."""
    app = DaprFlow("shop")

    @app.invoke("POST", "/search/{number}")
    async def search(asked: Search) -> Search:
        return asked

    async with running(app) as call:
        body = b'{"extraText":"x","pageSize":99,"orderId":"forged"}'
        first = await call.post("/search/7?page_size=5", body, [("x-tenant", "ann")])
        second = await call.post("/search/7")
        wrong = await call.post("/search/7", b'{"extraText":1}')
    assert first.json == {
        "orderId": "7",
        "pageSize": 5,
        "tenantName": "ann",
        "extraText": "x",
    }
    assert second.json["pageSize"] == 10
    assert wrong.json == {"error": "Expected `str`, got `int` - at `$.extraText`"}


async def test_get_takes_a_payload_of_marked_fields_alone() -> None:
    """Where every field stands beside the body, no body is needed."""

    class Page(msgspec.Struct):
        number: Annotated[int, Query()] = 1

    app = DaprFlow("shop")

    @app.invoke("GET", "/pages")
    async def pages(page: Page) -> int:
        return page.number

    async with running(app) as call:
        assert (await call.get("/pages?number=3")).body == b"3"


async def test_a_response_says_all_itself() -> None:
    """Status, headers and body of a Starlette response are sent as they are."""
    app = DaprFlow("shop")

    @app.invoke("GET", "/made")
    async def made() -> JSONResponse | Order:
        response = JSONResponse({"a": 1}, 202, {"x-made": "here"})
        response.set_cookie("c", "1")
        return response

    @app.invoke("GET", "/streamed")
    async def streamed():  # type: ignore[no-untyped-def]  # noqa: ANN202 - what freeze cannot see
        return StreamingResponse(iter([b"a"]))

    async with running(app) as call:
        answer = await call.get("/made")
        refused = await call.get("/streamed")
    assert (answer.status, answer.body) == (202, b'{"a":1}')
    assert answer.headers["x-made"] == "here"
    assert answer.headers["set-cookie"].startswith("c=1")
    assert answer.headers["content-type"] == "application/json"
    assert refused.status == 500


async def test_an_http_exception_keeps_its_status_over_a_declared_one() -> None:
    """``status`` is of good answers."""
    app = DaprFlow("shop")

    @app.invoke("POST", "/a", status=201)
    async def a() -> None:
        raise HTTPException(409, "there is one")

    @app.invoke("POST", "/b", status=202)
    async def b() -> None: ...

    async with running(app) as call:
        assert (await call.post("/a")).status == 409
        assert ((await call.post("/b")).status, (await call.post("/b")).body) == (202, b"")


async def test_the_delivery_is_named_without_values() -> None:
    """Log lines call a handler by verb and template, since paths may hold what is private."""
    app = shop()
    assert [(row.method, row.path, row.name) for row in app.table()][:2] == [
        ("GET", "/orders/{number}", "GET /orders/{number}"),
        ("PUT", "/orders/{number}", "PUT /orders/{number}"),
    ]


def problems_of(declare: Callable[[DaprFlow], object]) -> str:
    """What freezing reports of one declaration."""
    app = DaprFlow("shop")
    declare(app)
    with pytest.raises(AppDefinitionError) as refused:
        app.freeze()
    text = str(refused.value)
    assert f"({__name__}:" in text
    return text


async def of_x(*, x: str) -> None: ...


async def of_y(*, y: str) -> None: ...


async def of_both(*, x: str, y: str) -> None: ...


async def nothing() -> None: ...


async def positional(number: str) -> None: ...


async def untyped(*, number) -> None: ...  # type: ignore[no-untyped-def]  # noqa: ANN001 - the mistake


async def with_body(order: Order) -> None: ...


async def stranger(*, number: Annotated[str, Path("other")]) -> None: ...


async def structured(*, order: Annotated[Order, Query()]) -> None: ...


async def codecless(*, money: Annotated[Money, Query()]) -> None: ...


async def marked_payload(page: Annotated[int, Query()]) -> None: ...


async def streamed() -> StreamingResponse: ...  # type: ignore[empty-body]


def test_mistakes_are_reported_at_freeze() -> None:
    """Every mistake names the handler, its line, and what to write instead."""
    cases: list[tuple[Any, str, str, str]] = [
        (nothing, "GET", "/a/{number}", "has '{number}' in its path and does not take it"),
        (positional, "GET", "/a/{number}", "takes 'number', a parameter, before '*'"),
        (untyped, "GET", "/a/{number}", "has path parameter 'number' without a type"),
        (with_body, "GET", "/a", "takes 'order', but a GET has no body"),
        (stranger, "GET", "/a", "takes path parameter 'other', which its path does not name"),
        (structured, "GET", "/a", "takes query parameter 'order' as 'Order', which no text fits"),
        (codecless, "GET", "/a", "codecs=Codecs(JsonCodec(...))"),
        (marked_payload, "GET", "/a", "takes 'page', a parameter, before '*'"),
        (streamed, "GET", "/a", "is sent in pieces"),
        (nothing, "GET", "a", "has the path 'a'; it must begin with '/'"),
        (nothing, "GET", "/a//b", "with an empty part"),
        (nothing, "GET", "/a/../b", "with an empty part, '.' or '..'"),
        (nothing, "GET", "/a?b=1", "with '?' or '#'"),
        (nothing, "GET", "/a/{x}.json", "'{x}.json' is no parameter"),
        (nothing, "GET", "/a/{1}", "'{1}' is no parameter"),
        (nothing, "GET", "/{a}/{a}", "names a parameter twice"),
        (nothing, "G T", "/a", "has the verb 'G T'"),
        (nothing, "CONNECT", "/a", "has the verb 'CONNECT'"),
        (nothing, "GET", "/dapr/a", "is empty or below '/dapr'"),
        (nothing, "POST", "/job/a", "below '/job', where a sidecar calls handlers of other kinds"),
    ]
    for function, verb, path, expected in cases:
        said = problems_of(lambda app, f=function, v=verb, p=path: app.invoke(v, p)(f))  # type: ignore[misc]
        assert expected in said


def test_other_kinds_take_no_parameters() -> None:
    """A marker on a topic handler is a mistake, not something to inject."""

    async def on_order(order: Order, *, page: Annotated[int, Query()] = 1) -> None: ...

    said = problems_of(lambda app: app.topic(Topic("pubsub", "orders", Order))(on_order))
    assert "takes query parameter 'page', which only invoke handlers are given" in said


def test_a_name_with_braces_needs_a_verb() -> None:
    """Whoever writes a path as a name is told how paths are written."""

    async def get(*, number: str) -> None: ...

    said = problems_of(lambda app: app.invoke(name="orders/{number}")(get))
    assert '\'@app.invoke("POST", "/orders/{number}")\'' in said


@pytest.mark.row("FA-43")
@pytest.mark.parametrize(
    ("first", "second", "problem"),
    [
        (("GET", "/a/{x}"), ("GET", "/a/{y}"), "has the route 'GET /a/{y}'"),
        (("GET", "/a/{x}/c"), ("GET", "/a/b/{y}"), "neither is the narrower one"),
        (("GET", "/a/{x}"), ("PUT", "/a/{y}"), ""),
        (("GET", "/a/{x}"), ("GET", "/a/b"), ""),
        (("GET", "/{x}/b"), ("GET", "/a/b"), ""),
        (("GET", "/a/{x}/{y}"), ("GET", "/a/b/{y}"), ""),
        (("GET", "/a/{x}/c"), ("GET", "/a/{x}/d"), ""),
        (("GET", "/a/{x}"), ("GET", "/a/{x}/{y}"), ""),
    ],
)
def test_paths_that_meet_are_reported(
    first: tuple[str, str], second: tuple[str, str], problem: str
) -> None:
    """The same path twice for a verb, or two of which neither is narrower, is a mistake."""
    app = DaprFlow("shop")

    by_names: dict[tuple[str, ...], Callable[..., Any]] = {
        (): nothing,
        ("x",): of_x,
        ("y",): of_y,
        ("x", "y"): of_both,
    }
    for verb, path in (first, second):
        names = tuple(name for name in ("x", "y") if f"{{{name}}}" in path)
        app.invoke(verb, path)(by_names[names])
    if not problem:
        app.freeze()
        return
    with pytest.raises(AppDefinitionError, match=re.escape(problem)):
        app.freeze()


def test_a_handle_knows_verb_and_path() -> None:
    """What the decorator returns, and what other teams write, say how they are called."""
    app = DaprFlow("shop")

    @app.invoke("get", "/orders/{number}/")
    async def get(*, number: str) -> Order:
        return Order(number)

    remote = Endpoint("shop", "GET /orders/{number}", None, Order)
    assert (get.verb, get.method, repr(get)) == (
        remote.verb,
        remote.method,
        repr(remote),
    )
    assert repr(remote) == "Endpoint('shop', 'GET /orders/{number}')"
    assert (remote.takes, remote.returns) == (type(None), Order)
    assert Endpoint("shop", "quote", Order, int).verb == "POST"
