"""Who may call the sidecar (S-02, S-05, S-06)."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.engine import Engine
from daprflow.sidecar.http_api import HttpApi
from daprflow.sidecar.http_api.guard import is_loopback
from daprflow.sidecar.options import RuntimeOptions
from daprflow.sidecar.resources import Resources
from daprflow.sidecar.runtime import Runtime
from tests.helpers.asgi import Answer, call_asgi

LOOPBACK = [
    "localhost",
    "LocalHost:3500",
    "127.0.0.1",
    "127.0.0.1:1",
    "127.8.9.10:3500",
    "[::1]",
    "[::1]:3500",
]
FOREIGN = [
    "",
    "evil.example",
    "evil.example:3500",
    "localhost.evil.example",
    "localhost.",
    "127.0.0.1.evil.example",
    "user@localhost",
    "localhost@evil.example",
    "localhost:3500@evil.example",
    "localhost:x",
    "localhost:",
    "localhost:-1",
    "[::1",
    "[::1]x",
    "[localhost]",
    "::1",
    "0.0.0.0",
    "10.0.0.1",
    "169.254.169.254",
    "[::]",
    "127.1",
    "2130706433",
    "localhost, evil.example",
    "http://localhost",
    "\u0661\u0662\u0667.0.0.1",
    "localhost:\u0663",
]


@pytest.fixture
async def runtime(tmp_path: Path) -> AsyncIterator[Runtime]:
    """A sidecar without token."""
    engine = Engine(VirtualClock(), None, tmp_path)
    runtime = Runtime(engine, RuntimeOptions("app1"), Resources(), None)
    await runtime.open()
    await runtime.connect()
    yield runtime
    await engine.close()


async def call(
    runtime: Runtime, path: str, *headers: tuple[str, str], host: str = "localhost"
) -> Answer:
    """Call the API with exactly these headers."""
    pairs = (("host", host), *headers) if host else headers
    return await call_asgi(HttpApi(runtime), "GET", path, pairs)


@pytest.mark.parametrize("host", LOOPBACK)
async def test_loopback_names_are_served(runtime: Runtime, host: str) -> None:
    """Every way to write a loopback address is taken, with any port."""
    assert is_loopback(host)
    assert (await call(runtime, "/v1.0/metadata", host=host)).status == 200


@pytest.mark.row("S-05")
@pytest.mark.parametrize("host", FOREIGN)
async def test_foreign_hosts_are_refused(runtime: Runtime, host: str) -> None:
    """S-05: any other Host is refused with one line, so that a rebound name reaches nothing."""
    assert not is_loopback(host)
    answer = await call(runtime, "/v1.0/healthz", ("x", "1"), host=host)
    assert answer.status == 403
    assert answer.body.count(b"\n") == 1
    assert answer.header("content-type") == "text/plain; charset=utf-8"


@pytest.mark.row("S-05")
async def test_a_host_is_asked_for_once(runtime: Runtime) -> None:
    """S-05: no Host and two Hosts are refused, even when both are good."""
    assert (await call(runtime, "/v1.0/healthz", host="")).status == 403
    twice = await call(runtime, "/v1.0/healthz", ("host", "localhost"))
    assert (twice.status, b"several Host" in twice.body) == (403, True)
    repeated = await call(runtime, "/v1.0/metadata", ("x-a", "1"), ("x-a", "2"))
    assert repeated.status == 200


@pytest.mark.row("S-24")
async def test_a_foreign_host_is_quoted_safely(runtime: Runtime) -> None:
    """S-24: what a refused Host holds cannot forge a line or a terminal escape."""
    answer = await call(runtime, "/v1.0/healthz", host="a\x1b[31m\r\nx" + "y" * 500)
    assert b"\x1b" not in answer.body
    assert len(answer.body) < 500


async def test_hosts_that_are_taken_are_not_remembered_for_ever(runtime: Runtime) -> None:
    """Many spellings of loopback do not fill the memory, and all are served."""
    api = HttpApi(runtime)
    for port in range(1, 200):
        headers = (("host", f"localhost:{port}"),)
        assert (await call_asgi(api, "GET", "/v1.0/metadata", headers)).status == 200


@pytest.mark.row("I-MI", "S-06")
@pytest.mark.parametrize(
    "headers",
    [
        (("origin", "http://evil.example"),),
        (("origin", "null"),),
        (("origin", "http://localhost:8080"),),
        (("sec-fetch-site", "cross-site"),),
        (("sec-fetch-site", "same-site"),),
        (("sec-fetch-mode", "no-cors"),),
        (("origin", "http://localhost"), ("sec-fetch-site", "cross-site")),
    ],
)
async def test_web_pages_are_refused(
    runtime: Runtime, headers: tuple[tuple[str, str], ...]
) -> None:
    """S-06: what a browser sends for a page of another origin is refused, and does nothing."""
    answer = await call(runtime, "/v1.0/metadata", *headers)
    assert (answer.status, b"web page" in answer.body) == (403, True)
    shutdown = await call_asgi(
        HttpApi(runtime), "POST", "/v1.0/shutdown", (("host", "localhost"), *headers)
    )
    assert shutdown.status == 403
    assert not runtime.shutdown_requested.is_set()


@pytest.mark.parametrize(
    "headers",
    [
        (("origin", "http://localhost"),),
        (("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "cors")),
        (("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate")),
    ],
)
async def test_the_sidecars_own_origin_is_served(
    runtime: Runtime, headers: tuple[tuple[str, str], ...]
) -> None:
    """A request of the same origin, and one that a person typed, are served."""
    assert (await call(runtime, "/v1.0/metadata", *headers)).status == 200


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Runtime]:
    """A sidecar that asks for a token."""
    engine = Engine(VirtualClock(), None, tmp_path)
    options = RuntimeOptions("app1", api_token="s3cret")
    runtime = Runtime(engine, options, Resources(), None)
    await runtime.open()
    await runtime.connect()
    yield runtime
    await engine.close()


@pytest.mark.row("I-MI", "S-02")
@pytest.mark.parametrize(
    "headers",
    [
        (),
        (("dapr-api-token", ""),),
        (("dapr-api-token", "S3cret"),),
        (("dapr-api-token", "s3cre"),),
        (("dapr-api-token", "s3crett"),),
        (("dapr-api-token", "wrong"), ("dapr-api-token", "s3cret")),
        (("authorization", "Bearer s3cret"),),
    ],
)
async def test_a_wrong_token(guarded: Runtime, headers: tuple[tuple[str, str], ...]) -> None:
    """Without the token every call is a 401 in plain text, as the real runtime answers it."""
    for path in ("/v1.0/metadata", "/v1.0/state/s/k", "/nothing", "/v1.0/healthz/other"):
        answer = await call(guarded, path, *headers)
        assert (answer.status, answer.body) == (401, b"invalid api token\n")
        assert answer.header("content-type") == "text/plain; charset=utf-8"
        assert answer.header("x-content-type-options") == "nosniff"


async def test_the_right_token(guarded: Runtime) -> None:
    """With the token calls are served."""
    answer = await call(guarded, "/v1.0/metadata", ("dapr-api-token", "s3cret"))
    assert answer.status == 200


async def test_health_needs_no_token(guarded: Runtime) -> None:
    """The two health calls are exempt, with GET alone."""
    assert (await call(guarded, "/v1.0/healthz")).status == 204
    assert (await call(guarded, "/v1.0/healthz/outbound")).status == 204
    posted = await call_asgi(HttpApi(guarded), "POST", "/v1.0/healthz", (("host", "localhost"),))
    assert posted.status == 401


@pytest.mark.row("S-07")
@pytest.mark.parametrize("wanted", ["GET", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:8080"])
@pytest.mark.parametrize("private", [(), (("access-control-request-private-network", "true"),)])
async def test_preflights_are_refused(
    runtime: Runtime, wanted: str, origin: str, private: tuple[tuple[str, str], ...]
) -> None:
    """No answer to a preflight allows anything, also none for a private network."""
    asked = (("origin", origin), ("access-control-request-method", wanted), *private)
    headers = (("host", "localhost"), ("access-control-request-headers", "content-type"), *asked)
    answer = await call_asgi(HttpApi(runtime), "OPTIONS", "/v1.0/state/store", headers)
    assert answer.status == 403
    assert [name for name, _ in answer.headers if name.startswith("access-control")] == []
