"""The HTTP API's routes below the recorded ones: limits, metadata, publishing, what is refused."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daprflow.protocol.resources import ComponentResource, MetadataItem
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.engine import Engine
from daprflow.sidecar.http_api import HttpApi
from daprflow.sidecar.options import RuntimeOptions
from daprflow.sidecar.resources import Resources
from daprflow.sidecar.runtime import Runtime
from tests.helpers.asgi import Answer, call_asgi

HOST = ("host", "localhost")
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ZERO = "00-00000000000000000000000000000000-0000000000000000-00"


class Api:
    """The API of one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self._app = HttpApi(runtime)

    async def __call__(
        self, method: str, target: str, body: bytes = b"", *headers: tuple[str, str]
    ) -> Answer:
        """Send one request."""
        return await call_asgi(self._app, method, target, (HOST, *headers), body)

    async def pieces(
        self, method: str, target: str, *pieces: bytes, length: str = "", gone: bool = False
    ) -> Answer:
        """Send one request whose body comes in pieces."""
        headers = (HOST, ("content-length", length)) if length else (HOST,)
        return await call_asgi(self._app, method, target, headers, *pieces, gone=gone)


async def make(root: Path, *components: ComponentResource, size: int = 4096) -> Api:
    """Open a sidecar."""
    engine = Engine(VirtualClock(1_700_000_000.0), None, root)
    options = RuntimeOptions("app1", max_body_size=size)
    runtime = Runtime(engine, options, Resources(components), None)
    await runtime.open()
    await runtime.connect()
    return Api(runtime)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    """A sidecar with a state store and a broker."""
    (tmp_path / "s.json").write_text('{"<k>": "v&", "n": 3}', encoding="utf-8")
    secrets = ComponentResource(
        "vault", "secretstores.local.file", metadata=(MetadataItem("secretsFile", "s.json"),)
    )
    found = await make(
        tmp_path,
        ComponentResource("store", "state.in-memory"),
        ComponentResource("ps", "pubsub.in-memory"),
        secrets,
    )
    yield found
    await found.runtime.engine.close()


@pytest.fixture
async def bare(tmp_path: Path) -> AsyncIterator[Api]:
    """A sidecar without any component."""
    found = await make(tmp_path)
    yield found
    await found.runtime.engine.close()


def error_of(answer: Answer) -> tuple[int, str]:
    """Return status and error code."""
    return answer.status, json.loads(answer.body)["errorCode"]


# ---- requests -----------------------------------------------------------------------------------


async def test_a_body_over_the_limit(api: Api) -> None:
    """A body over the limit is refused by name and ends the connection, in pieces or not."""
    big = b"[" + b" " * 5000 + b"]"
    for answer in (
        await api("POST", "/v1.0/state/store", big),
        await api.pieces("POST", "/v1.0/state/store", big[:3000], big[3000:]),
        await api.pieces("POST", "/v1.0/state/store", b"[", b"]", length="5002"),
    ):
        assert error_of(answer) == (400, "ERR_MALFORMED_REQUEST")
        assert b"4096 bytes" in answer.body
        assert answer.header("connection") == "close"


@pytest.mark.parametrize(
    ("target", "status", "code"),
    [
        ("POST /v1.0/state/store/bulk", 400, "ERR_MALFORMED_REQUEST"),
        ("POST /v1.0/publish/pubsub/t", 500, "ERR_PUBSUB_PUBLISH_MESSAGE"),
        ("POST /v1.0/publish/bulk/pubsub/t", 400, "ERR_PUBSUB_EVENTS_SER"),
        ("POST /v1.0/bindings/files", 400, "ERR_MALFORMED_REQUEST"),
        ("PUT /v1.0/metadata/k", 400, "ERR_BODY_READ"),
    ],
)
async def test_each_route_refuses_a_large_body_its_way(
    api: Api, target: str, status: int, code: str
) -> None:
    """Too much is an error of the kind that the route has for bodies."""
    method, path = target.split()
    answer = await api(method, path, b"[" + b" " * 5000 + b"]")
    assert error_of(answer) == (status, code)
    assert b"stream too large" in answer.body


async def test_a_negative_limit_is_none(tmp_path: Path) -> None:
    """With a negative limit bodies may have any size."""
    api = await make(tmp_path, ComponentResource("store", "state.in-memory"), size=-1)
    assert (await api.pieces("POST", "/v1.0/state/store", b"[", b" " * 9999, b"]")).status == 204
    await api.runtime.engine.close()


async def test_a_body_in_pieces(api: Api) -> None:
    """A body that comes in pieces is put together."""
    body = (b'[{"key":', b'"a",', b'"value":1}]')
    assert (await api.pieces("POST", "/v1.0/state/store", *body)).status == 204
    assert (await api("GET", "/v1.0/state/store/a")).body == b"1"


@pytest.mark.parametrize("pieces", [(), (b"[",)])
async def test_a_caller_that_leaves_early(api: Api, pieces: tuple[bytes, ...]) -> None:
    """A caller that goes away while sending gets no answer, and nothing is written."""
    answer = await api.pieces("POST", "/v1.0/state/store", *pieces, gone=True)
    assert answer.status in {0, 400}
    assert (await api("GET", "/v1.0/state/store/a")).status == 204


async def test_a_broken_escape_in_a_path(api: Api) -> None:
    """A percent sign that escapes nothing is a 400 in plain text."""
    answer = await api("GET", "/v1.0/state/store/a%zz")
    assert (answer.status, answer.body) == (400, b'invalid URL escape "%zz"\n')


@pytest.mark.row("I-ST")
async def test_keys_of_any_characters(api: Api) -> None:
    """Slashes, spaces and percent signs may stand in a key, percent-encoded."""
    await api(
        "POST", "/v1.0/state/store", json.dumps([{"key": "a/b c%\u00e4", "value": 1}]).encode()
    )
    assert (await api("GET", "/v1.0/state/store/a%2Fb+c%25%C3%A4")).body == b"1"


async def test_invalid_baggage(api: Api) -> None:
    """Baggage that is none is a 400 in plain text; good baggage comes back."""
    assert (await api("GET", "/v1.0/metadata", b"", ("baggage", "nonsense"))).status == 400
    good = await api("GET", "/v1.0/state/store/a", b"", ("baggage", "k=v;p=1, l=w"))
    assert (good.status, good.header("baggage")) == (204, "k=v;p=1, l=w")


@pytest.mark.parametrize("parent", ["", "x", PARENT.upper(), PARENT + "-x", PARENT[:-1]])
async def test_a_broken_trace_parent_counts_as_none(api: Api, parent: str) -> None:
    """What is no trace parent is not echoed."""
    answer = await api("GET", "/v1.0/metadata", b"", ("traceparent", parent), ("tracestate", "a=b"))
    assert (answer.header("traceparent"), answer.header("tracestate")) == (ZERO, None)


async def test_before_the_components_are_up(tmp_path: Path) -> None:
    """A sidecar that is not open answers health and refuses the rest."""
    engine = Engine(VirtualClock(), None, tmp_path)
    api = Api(Runtime(engine, RuntimeOptions("app1"), Resources(), None))
    assert error_of(await api("GET", "/v1.0/healthz")) == (500, "ERR_HEALTH_NOT_READY")
    outbound = (500, "ERR_OUTBOUND_HEALTH_NOT_READY")
    for target in ("/v1.0/healthz/outbound", "/v1.0/state/s/k", "/x"):
        assert error_of(await api("GET", target)) == outbound


async def test_our_own_failure_is_not_told_to_callers(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    """S-25: a bug is a 500 without its text; the log has it."""
    del api.runtime.secrets
    answer = await api("GET", "/v1.0/secrets/vault/n")
    assert error_of(answer) == (500, "ERR_INTERNAL")
    assert b"secrets'" not in answer.body
    assert "AttributeError" in caplog.text


async def test_other_scopes(api: Api) -> None:
    """A websocket is refused; a server's lifespan is answered."""
    sent: list[str] = []
    events = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

    async def send(event: object) -> None:
        assert isinstance(event, dict)
        sent.append(event["type"])

    async def lifespan() -> dict[str, str]:
        return next(events)

    async def connect() -> dict[str, str]:
        return {"type": "websocket.connect"}

    await HttpApi(api.runtime)({"type": "lifespan"}, lifespan, send)
    await HttpApi(api.runtime)({"type": "websocket"}, connect, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete", "websocket.close"]


# ---- blocks -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "target", "status", "code"),
    [
        ("GET", "/v1.0/state/s/k", 500, "ERR_STATE_STORE_NOT_CONFIGURED"),
        ("POST", "/v1.0/publish/p/t", 404, "ERR_PUBSUB_NOT_FOUND"),
        ("GET", "/v1.0/secrets/s/k", 500, "ERR_SECRET_STORES_NOT_CONFIGURED"),
        ("POST", "/v1.0/bindings/b", 400, "ERR_MALFORMED_REQUEST"),
    ],
)
async def test_without_components(
    bare: Api, method: str, target: str, status: int, code: str
) -> None:
    """A block without any component says that none is configured."""
    assert error_of(await bare(method, target)) == (status, code)


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/v1.0/healthz/other"),
        ("POST", "/v1.0/healthz"),
        ("DELETE", "/v1.0/metadata"),
        ("GET", "/v1.0/metadata/k"),
        ("GET", "/v1.0-alpha1/metadata"),
        ("GET", "/v1.0/shutdown"),
        ("POST", "/v1.0/shutdown/now"),
        ("POST", "/v1.0/secrets/vault/n"),
        ("GET", "/v1.0/secrets/vault"),
        ("GET", "/v1.0/bindings/b"),
        ("POST", "/v1.0/bindings/b/c"),
        ("GET", "/v1.0/publish/ps/t"),
        ("POST", "/v1.0/publish/ps"),
        ("POST", "/v1.0-alpha1/publish/ps/t"),
        ("POST", "/v1.0-beta1/publish/bulk/ps/t"),
        ("POST", "/v1.0/state/store/k"),
        ("POST", "/v1.0/state/store/query"),
        ("POST", "/v1.0-alpha1/state/store"),
        ("GET", "/v1.0/state/store/k/x"),
        ("POST", "/v1.0/jobs"),
    ],
)
async def test_what_no_route_owns(api: Api, method: str, target: str) -> None:
    """A wrong verb, version or length of a path ends in service invocation, which names no app."""
    assert error_of(await api(method, target, b"[]")) == (404, "ERR_DIRECT_INVOKE")


async def test_query_metadata_wins_over_the_items(api: Api) -> None:
    """Of request and item metadata the request's wins; of a repeated name the first."""
    body = b'[{"key":"a","value":1,"metadata":{"ttlInSeconds":"5"}}]'
    query = "?metadata.ttlInSeconds=60&metadata.ttlInSeconds=90"
    await api("POST", f"/v1.0/state/store{query}", body)
    answer = await api("GET", "/v1.0/state/store/a")
    assert answer.header("metadata.ttlexpiretime") == "2023-11-14T22:14:20Z"


async def test_bulk_get_of_what_is_no_json(api: Api) -> None:
    """A stored value that is no JSON makes a bulk get answer 200 with nothing, as Go does."""
    from daprflow.sidecar.blocks.state import StateChange

    await api.runtime.state.save("store", [StateChange("a", b"\xff{")])
    answer = await api("POST", "/v1.0/state/store/bulk", b'{"keys":["a"]}')
    assert (answer.status, answer.body) == (200, b"")
    assert (await api("GET", "/v1.0/state/store/a")).body == b"\xff{"


async def test_bulk_get_shows_expiry(api: Api) -> None:
    """An entry that expires says when."""
    await api("POST", "/v1.0/state/store?metadata.ttlInSeconds=60", b'[{"key":"a","value":"<"}]')
    answer = await api("PUT", "/v1.0/state/store/bulk", b'{"keys":["a","b"]}')
    entry, missing = json.loads(answer.body)
    assert entry["metadata"] == {"ttlExpireTime": "2023-11-14T22:14:20Z"}
    assert missing == {"key": "b"}
    assert b'"\\u003c"' in answer.body


async def test_several_saves_are_not_a_transaction(api: Api) -> None:
    """Of several saves those that may happen do; the refusals are joined into one message."""
    await api("POST", "/v1.0/state/store", b'[{"key":"a","value":1}]')
    first = b'"options":{"concurrency":"first-write"}'
    body = b'[{"key":"a","value":2,%b},{"key":"b","value":2},{"key":"a","value":3,"etag":"x"}]'
    answer = await api("POST", "/v1.0/state/store", body % first)
    assert error_of(answer) == (409, "ERR_STATE_SAVE")
    message = json.loads(answer.body)["message"]
    head = "possible etag mismatch. error from state store: "
    assert message.startswith(f"failed saving state in state store store: {head}{head}")
    assert message.count("possible etag mismatch") == 3
    assert (await api("GET", "/v1.0/state/store/b")).body == b"2"
    assert (await api("GET", "/v1.0/state/store/a")).body == b"1"


async def test_wrong_options(api: Api) -> None:
    """An unknown consistency is refused by the store, as an unknown concurrency is."""
    body = b'[{"key":"a","value":2,"options":{"consistency":"maybe"}}]'
    answer = await api("POST", "/v1.0/state/store", body)
    assert error_of(answer) == (500, "ERR_STATE_SAVE")
    assert b"unrecognized consistency model 'maybe'" in answer.body


async def test_secrets_are_escaped_and_sorted(api: Api) -> None:
    """Secrets are written as Go writes them, one line, keys in order."""
    assert (await api("GET", "/v1.0/secrets/vault/%3Ck%3E")).body == (
        b'{"\\u003ck\\u003e":"v\\u0026"}\n'
    )
    everything = await api("GET", "/v1.0/secrets/vault/bulk")
    assert list(json.loads(everything.body)) == ["<k>", "n"]


async def test_shutdown_can_be_forced(api: Api) -> None:
    """Shutdown is accepted at once; a header asks for it without grace."""
    assert (await api("POST", "/v1.0/shutdown")).status == 204
    assert api.runtime.shutdown_requested.is_set()
    assert not api.runtime.shutdown_forced
    await api("POST", "/v1.0/shutdown", b"", ("dapr-force-shutdown", "true"))
    assert api.runtime.shutdown_forced


async def test_metadata_can_be_set(api: Api) -> None:
    """A body of any bytes becomes extended metadata under the key of the path."""
    await api("PUT", "/v1.0/metadata/a%2Fb", b"\xff<")
    document = json.loads((await api("GET", "/v1.0/metadata")).body)
    assert document["extended"]["a/b"] == "\ufffd<"
    assert list(document["extended"]) == sorted(document["extended"])


async def test_a_topic_may_hold_slashes(api: Api) -> None:
    """The rest of a publish path is the topic, slashes included."""
    seen: list[str] = []

    class Observer:
        def published(self, pubsub: str, message: object) -> None:
            seen.append(getattr(message, "topic", ""))

        def delivered(self, *_: object) -> None:
            raise AssertionError

    api.runtime.pubsub.observer = Observer()
    for target in ("/v1.0/publish/ps/a/b", "/v1.0/publish/ps/a%2Fb", "/v1.0/publish/bulk"):
        await api("POST", target, b"{}")
    assert seen == ["a/b", "a/b"]


async def test_a_broken_bulk_publish(api: Api) -> None:
    """An entry of a wrong shape is named in the error, and null publishes nothing."""
    answer = await api("POST", "/v1.0/publish/bulk/ps/t", b'{"entryId":1}')
    assert error_of(answer) == (400, "ERR_PUBSUB_EVENTS_SER")
    assert (await api("POST", "/v1.0/publish/bulk/ps/t", b"null")).status == 204
