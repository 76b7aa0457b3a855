"""Service invocation: who is called, what travels, what streams."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, MutableMapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from daprflow.protocol.http import HttpRequest, HttpResponse
from daprflow.sidecar.app.http import HttpApp
from daprflow.sidecar.channel.http import HttpChannel
from daprflow.sidecar.channel.in_process import AsgiChannel
from daprflow.sidecar.clock import SystemClock, VirtualClock
from daprflow.sidecar.engine import Engine
from daprflow.sidecar.http_api import HttpApi
from daprflow.sidecar.options import RuntimeOptions
from daprflow.sidecar.resources import Resources
from daprflow.sidecar.runtime import Runtime
from tests.helpers.http_client import RawClient
from tests.helpers.recording import Answer, AsgiApp, Call, RecordingApp, free_socket, port_of, serve
from tests.helpers.timing import until

ZERO = "00-00000000000000000000000000000000-0000000000000000-00"
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def echo(call: Call) -> Answer:
    """Answer with the verb, the target and the body."""
    text = f"{call.method} {call.target} ".encode() + call.body
    return Answer(200, text, "text/plain", {"x-app": "1", "connection": "keep-alive"})


class Api:
    """The HTTP API of a sidecar, called without sockets."""

    def __init__(self, runtime: Runtime) -> None:
        self._channel = AsgiChannel(HttpApi(runtime))

    async def call(
        self, method: str, target: str, body: bytes = b"", *headers: tuple[str, str]
    ) -> HttpResponse:
        """Send a request made of its parts."""
        return await self._channel.send(HttpRequest(method, target, headers, body))


class Pair:
    """Two apps, ``one`` and ``two``, with their sidecars; ``client`` calls that of ``one``."""

    def __init__(self, apps: dict[str, RecordingApp], client: Api) -> None:
        self.apps = apps
        self.client = client

    def seen(self, app_id: str) -> Call:
        """Return the last call that reached an app."""
        return self.apps[app_id].calls[-1]


@contextlib.asynccontextmanager
async def pair(root: Path, **changes: Any) -> AsyncIterator[Pair]:
    """Start the sidecars of both apps."""
    engine = Engine(SystemClock(), None, root)
    apps = {"one": RecordingApp(echo), "two": RecordingApp(echo)}
    for app_id, app in apps.items():
        options = replace(RuntimeOptions(app_id, app_port=1), **changes)
        channel = AsgiChannel(app, app_token=options.app_token)
        await Runtime(engine, options, Resources(), HttpApp(channel)).open()
    yield Pair(apps, Api(engine.runtimes["one"]))
    await engine.close()


@pytest.fixture
async def apps(tmp_path: Path) -> AsyncIterator[Pair]:
    """Two apps without any token."""
    async with pair(tmp_path) as found:
        yield found


def code_of(answer: HttpResponse) -> tuple[int, str, str]:
    """Return status, error code and message."""
    error = msgspec.json.decode(answer.body)
    return answer.status, error["errorCode"], error["message"]


@pytest.mark.row("I-IN")
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_every_verb_and_the_query_travel(apps: Pair, method: str) -> None:
    """Verb, path, query, body and the app's headers pass through, to the app itself."""
    answer = await apps.client.call(method, "/v1.0/invoke/one/method/a%20b/c?q=1&q=%26", b"x")
    assert answer.status == 200
    assert answer.body == f"{method} /a%20b/c?q=1&q=%26 x".encode()
    assert answer.header("x-app") == "1"
    assert answer.header("content-type") == "text/plain"
    assert answer.header("traceparent") == ZERO


async def test_a_verb_that_dapr_does_not_know(apps: Pair) -> None:
    """It reaches the app as POST."""
    await apps.client.call("PROPFIND", "/v1.0/invoke/one/method/x")
    assert apps.seen("one").method == "POST"


@pytest.mark.parametrize(
    "headers",
    [
        (("dapr-app-id", "two"),),
        (("authorization", "Basic ZGFwci1hcHAtaWQ6dHdv"),),  # dapr-app-id:two
    ],
)
async def test_the_app_can_be_named_beside_the_path(
    apps: Pair, headers: tuple[tuple[str, str], ...]
) -> None:
    """With the app's id in a header or in basic authentication the whole path is the method."""
    answer = await apps.client.call("GET", "/deep/path?x=1", b"", *headers)
    assert answer.body == b"GET /deep/path?x=1 "
    assert apps.seen("two").header("dapr-app-id") is None


@pytest.mark.parametrize(
    "credentials", ["Basic", "Basic !!", "Basic dTpw", "Bearer x", "Basic /w=="]
)
async def test_other_credentials_name_nobody(apps: Pair, credentials: str) -> None:
    """Authorization that does not name an app leads to the usual 404."""
    answer = await apps.client.call("GET", "/x", b"", ("authorization", credentials))
    assert code_of(answer)[:2] == (404, "ERR_DIRECT_INVOKE")


async def test_another_app_learns_who_calls(apps: Pair) -> None:
    """A call on another app carries the caller's and the callee's id; a call on itself does not."""
    await apps.client.call("GET", "/v1.0/invoke/two/method/x")
    remote = apps.seen("two")
    assert remote.header("dapr-caller-app-id") == "one"
    assert remote.header("dapr-callee-app-id") == "two"
    assert remote.header("dapr-caller-namespace") == "default"
    assert remote.header("x-forwarded-for") == "127.0.0.1"
    await apps.client.call("GET", "/v1.0/invoke/one/method/x")
    assert apps.seen("one").header("dapr-caller-app-id") is None


@pytest.mark.row("I-IN")
@pytest.mark.parametrize("app_id", ["one", "two"])
async def test_a_caller_cannot_pretend_to_be_another(apps: Pair, app_id: str) -> None:
    """Identity headers that a caller brings along are not passed on."""
    forged = (("dapr-caller-app-id", "admin"), ("dapr-callee-app-id", "admin"))
    await apps.client.call("GET", f"/v1.0/invoke/{app_id}/method/x", b"", *forged)
    values = [value for _, value in apps.seen(app_id).headers]
    assert "admin" not in values


@pytest.mark.row("I-IN")
async def test_headers_of_one_hop_end_here(apps: Pair) -> None:
    """Hop-by-hop headers, those that Connection names, and ``-bin`` ones are not passed on."""
    await apps.client.call(
        "GET",
        "/v1.0/invoke/one/method/x",
        b"",
        ("connection", "x-mine, keep-alive"),
        ("x-mine", "1"),
        ("te", "trailers"),
        ("proxy-authorization", "secret"),
        ("grpc-trace-bin", "AA=="),
        ("destination-app-id", "x"),
        ("x-kept", "1"),
        ("x-kept", "2"),
    )
    names = {name for name, _ in apps.seen("one").headers}
    gone = {"x-mine", "te", "proxy-authorization", "grpc-trace-bin", "destination-app-id"}
    assert not names & gone
    kept = [value for name, value in apps.seen("one").headers if name == "x-kept"]
    assert kept == ["1", "2"]


async def test_trace_headers(apps: Pair) -> None:
    """A caller's trace context reaches the app and comes back; without one it is all zero."""
    answer = await apps.client.call(
        "GET",
        "/v1.0/invoke/one/method/x",
        b"",
        ("traceparent", PARENT),
        ("tracestate", "a=b"),
        ("baggage", "k=v"),
    )
    assert apps.seen("one").header("traceparent") == PARENT
    assert apps.seen("one").header("baggage") == "k=v"
    assert [answer.header(n) for n in ("traceparent", "tracestate", "baggage")] == [
        PARENT,
        "a=b",
        "k=v",
    ]
    await apps.client.call("GET", "/v1.0/invoke/one/method/x")
    assert apps.seen("one").header("traceparent") == ZERO


async def test_an_error_of_the_app_passes_unchanged(apps: Pair) -> None:
    """Status and body of a failing app are not wrapped in an error of Dapr's."""
    apps.apps["one"].answers["/fail"] = Answer(503, b'{"oops":1}', "application/json")
    answer = await apps.client.call("POST", "/v1.0/invoke/one/method/fail", b"{}")
    assert (answer.status, answer.body) == (503, b'{"oops":1}')
    assert answer.header("content-length") == "10"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"a":1}', "text/plain; charset=utf-8"),
        (b"\x00\x01", "application/octet-stream"),
        (b"", ""),
    ],
)
async def test_an_answer_without_a_type_gets_one(apps: Pair, body: bytes, kind: str) -> None:
    """The sidecar names what an app did not, by its first bytes; nothing has no type."""
    apps.apps["one"].answers["/plain"] = Answer(200, body, "")
    answer = await apps.client.call("GET", "/v1.0/invoke/one/method/plain")
    assert (answer.body, answer.header("content-type")) == (body, kind)


@pytest.mark.row("I-IN", "S-16")
async def test_redirects_are_not_followed(apps: Pair) -> None:
    """An app's redirect goes back to the caller."""
    apps.apps["one"].answers["/r"] = Answer(302, b"", "", {"location": "/x"})
    answer = await apps.client.call("GET", "/v1.0/invoke/one/method/r")
    assert (answer.status, answer.header("location")) == (302, "/x")
    assert len(apps.apps["one"].calls) == 1


@pytest.mark.parametrize(
    ("app_id", "reason"),
    [
        ("ghost", "couldn't find service: ghost"),
        ("ghost.default", "couldn't find service: ghost"),
        ("one.default.x", "invalid app id one.default.x"),
    ],
)
async def test_an_unknown_app(apps: Pair, app_id: str, reason: str) -> None:
    """An app that is not there is a 500 that names it, and so is an id with two namespaces."""
    answer = await apps.client.call("GET", f"/v1.0/invoke/{app_id}/method/x")
    text = f"failed to invoke, id: {app_id}, err: {reason}"
    assert code_of(answer) == (500, "ERR_DIRECT_INVOKE", text)


async def test_outside_a_cluster_any_namespace_will_do(apps: Pair) -> None:
    """A real runtime finds apps by mDNS there, which knows no namespaces."""
    answer = await apps.client.call("GET", "/v1.0/invoke/two.production/method/x")
    assert answer.status == 200
    assert apps.seen("two").target == "/x"


async def test_an_app_with_its_namespace(apps: Pair) -> None:
    """``app.namespace`` finds the app; one's own stays a call on itself where it is spelt out."""
    answer = await apps.client.call("GET", "/v1.0/invoke/two.default/method/x")
    assert answer.status == 200
    await apps.client.call("GET", "/v1.0/invoke/one.default/method/x")
    assert apps.seen("one").header("dapr-caller-app-id") is None
    await apps.client.call("GET", "/v1.0/invoke/one.production/method/x")
    assert apps.apps["one"].calls[-1].header("dapr-caller-app-id") == "one"


@pytest.mark.row("I-IN", "R-22", "S-11")
@pytest.mark.parametrize("method", ["a%23b", "a%3Fb", "a%00b", "a%0d%0ab", "a%7fb"])
async def test_methods_that_would_change_their_meaning(apps: Pair, method: str) -> None:
    """A method with ``#``, ``?`` or a control character is refused and reaches no app."""
    answer = await apps.client.call("GET", f"/v1.0/invoke/one/method/{method}")
    status, code, message = code_of(answer)
    assert (status, code) == (500, "ERR_DIRECT_INVOKE")
    assert "code = InvalidArgument desc = invalid method" in message
    assert apps.apps["one"].calls == []


@pytest.mark.row("I-IN", "R-22", "S-11")
@pytest.mark.parametrize(
    ("path", "reached"),
    [
        ("/v1.0/invoke/one/method/a/%2e%2e/b", "/b"),
        ("/v1.0/invoke/one/method/%2e%2e/%2e%2e/b", "/b"),
        ("/v1.0/invoke/one/method//a//b/", "/a/b"),
        ("/v1.0/invoke/one/method/a%2Fb", "/a/b"),
        ("/v1.0/invoke/one/method/", "/"),
        ("/v1.0/invoke/one/method/it's!(*)", "/it's!(*)"),
        ("/v1.0/invoke/one/method/it's%20", "/it%27s%20"),
        ("/v1.0/invoke/one/method/a+b", "/a+b"),
        ("/v1.0/invoke/one/method/%C3%A4", "/%C3%A4"),
    ],
)
async def test_methods_are_cleaned_once(apps: Pair, path: str, reached: str) -> None:
    """Dots and doubled slashes are gone before the path reaches the app."""
    await apps.client.call("GET", path)
    assert apps.seen("one").target == reached


async def test_plain_hosts(apps: Pair, tmp_path: Path) -> None:
    """An address as the app's id is called as it is; the query and errors pass through."""
    other = RecordingApp(echo)
    async with serve(other) as port:
        base = f"http://127.0.0.1:{port}"
        for spelt in (base, base.replace(":", "%3A").replace("/", "%2F")):
            answer = await apps.client.call("POST", f"/v1.0/invoke/{spelt}/method/p/q?z=1", b"x")
            assert answer.body == b"POST /p/q?z=1 x"
        assert {call.header("dapr-caller-app-id") for call in other.calls} == {None}
    answer = await apps.client.call("GET", f"/v1.0/invoke/{base}/method/p")
    assert code_of(answer)[:2] == (500, "ERR_DIRECT_INVOKE")


@pytest.mark.row("I-IN", "S-03")
async def test_tokens_stay_where_they_belong(tmp_path: Path) -> None:
    """The app's token goes to apps alone, the API's token to nobody."""
    other = RecordingApp(echo)
    async with pair(tmp_path, api_token="api", app_token="app") as apps, serve(other) as port:
        token = ("dapr-api-token", "api")
        for app_id in ("one", "two"):
            await apps.client.call("GET", f"/v1.0/invoke/{app_id}/method/x", b"", token)
            sent = [v for n, v in apps.seen(app_id).headers if n == "dapr-api-token"]
            assert sent == ["app"]
        host = f"http://127.0.0.1:{port}"
        await apps.client.call("GET", f"/v1.0/invoke/{host}/method/x", b"", token)
        assert other.calls[0].header("dapr-api-token") is None


async def test_a_body_over_the_limit(tmp_path: Path) -> None:
    """A body over ``--max-body-size`` is a 500 that says so; the next call works."""
    async with pair(tmp_path, max_body_size=1000) as apps:
        answer = await apps.client.call("POST", "/v1.0/invoke/one/method/x", b"x" * 1001)
        status, code, message = code_of(answer)
        assert (status, code) == (500, "ERR_DIRECT_INVOKE")
        assert "stream too large" in message
        assert apps.apps["one"].calls == []
        answer = await apps.client.call("POST", "/v1.0/invoke/one/method/x", b"x" * 1000)
        assert answer.status == 200


async def test_head_has_no_body(tmp_path: Path) -> None:
    """A HEAD call is answered with headers alone."""
    async with on_sockets(Streaming(), tmp_path) as port:
        answer = await RawClient(port).call("HEAD", "/v1.0/invoke/one/method/x")
        assert (answer.status, answer.body, answer.header("traceparent")) == (200, b"", ZERO)


async def test_a_chunked_body_over_the_limit(tmp_path: Path) -> None:
    """The limit holds for a body of unknown length too."""
    async with on_sockets(RecordingApp(), tmp_path, max_body_size=1000) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /v1.0/invoke/one/method/x HTTP/1.1\r\nhost: localhost\r\n")
        writer.write(b"transfer-encoding: chunked\r\n\r\n")
        writer.write(b"320\r\n" + b"x" * 800 + b"\r\n320\r\n" + b"x" * 800 + b"\r\n0\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 500 ")
        writer.close()
        await writer.wait_closed()


class Streaming:
    """Sends back each piece of a body as it comes, and ``bye`` when there are no more."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """Serve one call."""
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            while True:
                event = await receive()
                if event["type"] == "http.disconnect":
                    return
                if body := event.get("body"):
                    await send({"type": "http.response.body", "body": body, "more_body": True})
                if not event.get("more_body"):
                    break
            if scope["raw_path"].endswith(b"/forever"):
                await receive()
            await send({"type": "http.response.body", "body": b"bye"})
        finally:
            self.ended.set()


@contextlib.asynccontextmanager
async def on_sockets(app: AsgiApp, root: Path, **changes: Any) -> AsyncIterator[int]:
    """Start an app and its sidecar; gives the sidecar's port."""
    engine = Engine(SystemClock(), None, root)
    async with serve(app) as app_port:
        channel = HttpChannel("127.0.0.1", app_port)
        options = replace(RuntimeOptions("one", app_port=app_port), **changes)
        runtime = Runtime(engine, options, Resources(), HttpApp(channel))
        await runtime.open()
        async with serve(HttpApi(runtime)) as port:
            yield port
        await runtime.close(0.0)
        await channel.close()
        await engine.close()


async def read_chunk(reader: asyncio.StreamReader) -> bytes:
    """Read one chunk of an answer."""
    size = int(await reader.readline(), 16)
    return (await reader.readexactly(size + 2))[:-2]


@pytest.mark.row("I-IN")
async def test_bodies_stream_both_ways(tmp_path: Path) -> None:
    """A piece of a body reaches the app, and its answer the caller, before the body has ended."""
    async with on_sockets(Streaming(), tmp_path) as port, asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /v1.0/invoke/one/method/x HTTP/1.1\r\nhost: localhost\r\n")
        writer.write(b"transfer-encoding: chunked\r\n\r\n3\r\none\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert await read_chunk(reader) == b"one"
        writer.write(b"3\r\ntwo\r\n")
        assert await read_chunk(reader) == b"two"
        writer.write(b"0\r\n\r\n")
        assert await read_chunk(reader) == b"bye"
        writer.close()
        await writer.wait_closed()


@pytest.mark.row("I-IN")
async def test_a_caller_that_leaves_ends_the_call(tmp_path: Path) -> None:
    """When the caller of an endless answer goes away, the app is told."""
    app = Streaming()
    async with on_sockets(app, tmp_path) as port, asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /v1.0/invoke/one/method/forever HTTP/1.1\r\nhost: localhost\r\n")
        writer.write(b"content-length: 2\r\n\r\nhi")
        await reader.readuntil(b"\r\n\r\n")
        assert await read_chunk(reader) == b"hi"
        writer.close()
        await writer.wait_closed()
        await app.ended.wait()


@pytest.mark.row("I-IN")
async def test_another_app_that_is_away_is_tried_again(tmp_path: Path) -> None:
    """A call on another app that does not listen yet is made again, three times a second apart."""
    clock = VirtualClock()
    engine = Engine(clock, None, tmp_path)
    sock = free_socket()
    port = port_of(sock)
    channel = HttpChannel("127.0.0.1", port)
    two = Runtime(engine, RuntimeOptions("two", app_port=port), Resources(), HttpApp(channel))
    one = Runtime(engine, RuntimeOptions("one"), Resources(), None)
    await two.open()
    await one.open()
    client, start = Api(one), clock.now()
    calling = asyncio.create_task(client.call("POST", "/v1.0/invoke/two/method/x", b"body"))
    await until(clock, calling.done)
    assert code_of(await calling)[:2] == (500, "ERR_DIRECT_INVOKE")
    assert clock.now() - start == pytest.approx(3.0)

    calling = asyncio.create_task(client.call("POST", "/v1.0/invoke/two/method/x", b"body"))
    await until(clock, lambda: clock.now() - start >= 4.0)
    async with serve(RecordingApp(echo), sock):
        await until(clock, calling.done)
        assert (await calling).body == b"POST /x body"
        await channel.close()
    await one.close(0.0)
    await two.close(0.0)
    await engine.close()


async def test_an_app_of_ones_own_that_is_away_is_not(tmp_path: Path) -> None:
    """A call on the own app fails at once, as does one without any app."""
    engine = Engine(VirtualClock(), None, tmp_path)
    sock = free_socket()
    channel = HttpChannel("127.0.0.1", port_of(sock))
    own = Runtime(engine, RuntimeOptions("own", app_port=1), Resources(), HttpApp(channel))
    none = Runtime(engine, RuntimeOptions("none"), Resources(), None)
    for runtime in (own, none):
        await runtime.open()
        answer = await Api(runtime).call("GET", f"/v1.0/invoke/{runtime.app_id}/method/x")
        assert code_of(answer)[:2] == (500, "ERR_DIRECT_INVOKE")
        await runtime.close(0.0)
    sock.close()
    await channel.close()
    await engine.close()


async def test_a_method_keeps_its_name_in_the_path(apps: Pair) -> None:
    """Without a slash after ``method`` there is no app id; a broken escape is a 400."""
    assert (await apps.client.call("GET", "/v1.0/invoke/one/method")).status == 404
    assert (await apps.client.call("GET", "/v1.0/invoke/one/method/../x")).status == 404
    assert (await apps.client.call("GET", "/v1.0/invoke/one/method/%zz")).status == 400
    assert (await apps.client.call("CONNECT", "/v1.0/invoke/one/method/x")).status == 500
    assert apps.apps["one"].calls == []


async def test_headers_travel_as_they_came(apps: Pair) -> None:
    """A header keeps its bytes; of an app id that stands twice the first counts."""
    headers = (("dapr-app-id", "one"), ("dapr-app-id", "two"), ("x-name", "\u00e9"))
    assert (await apps.client.call("GET", "/x", b"", *headers)).status == 200
    assert apps.seen("one").header("x-name") == "\u00e9".encode().decode("latin-1")
    assert apps.apps["two"].calls == []


async def test_an_error_without_a_content_type(tmp_path: Path) -> None:
    """An app's error that has no content type is sent on as JSON, as the real runtime does."""
    async with pair(tmp_path) as apps:
        apps.apps["one"].answers["/x"] = Answer(422, b"{}")
        answer = await apps.client.call("GET", "/v1.0/invoke/one/method/x")
    assert (answer.status, answer.header("content-type")) == (422, "application/json")
