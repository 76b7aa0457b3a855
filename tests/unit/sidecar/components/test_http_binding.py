"""``bindings.http``: its settings, headers, redirects and limits."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.components.base import ComponentError
from daprflow.sidecar.components.binding_http import HttpBinding
from tests.helpers.components import context
from tests.helpers.recording import Answer, RecordingApp, serve

KIND = "bindings.http"


@asynccontextmanager
async def opened(root: Path, **metadata: str) -> AsyncIterator[HttpBinding]:
    """Open a binding."""
    binding = HttpBinding(context(root, VirtualClock(), KIND, **metadata))
    await binding.open()
    try:
        yield binding
    finally:
        await binding.close()


async def test_headers(tmp_path: Path) -> None:
    """Metadata with a capital is a header; a security token and the JSON types come along."""
    app = RecordingApp()
    async with (
        serve(app) as port,
        opened(
            tmp_path,
            url=f"http://127.0.0.1:{port}/",
            securityToken="t0",
            securityTokenHeader="X-Token",
        ) as binding,
    ):
        await binding.invoke("post", b"{}", {"Accept": "text/plain", "path": "p?q=1", "other": "x"})
        await binding.invoke("delete", b"{}", {})
    posted, deleted = app.calls
    assert posted.target == "/p?q=1"
    assert posted.header("x-token") == "t0"
    assert posted.header("accept") == "text/plain"
    assert posted.header("content-type") == "application/json; charset=utf-8"
    assert posted.header("other") is None
    assert (deleted.target, deleted.body) == ("/", b"")


async def test_a_trace_goes_on(tmp_path: Path) -> None:
    """The trace of a call and its baggage are headers, whatever else is said of those."""
    app = RecordingApp()
    metadata = {"traceparent": "p", "Traceparent": "x", "tracestate": "s", "baggage": "a=b"}
    async with serve(app) as port, opened(tmp_path, url=f"http://127.0.0.1:{port}/") as binding:
        await binding.invoke("post", b"{}", metadata)
        await binding.invoke("post", b"{}", {"Traceparent": "x", "tracestate": ""})
    with_trace, without = app.calls
    names = ("traceparent", "tracestate", "baggage")
    assert [with_trace.header(name) for name in names] == ["p", "s", "a=b"]
    assert [without.header(name) for name in names] == ["x", None, None]


@pytest.mark.row("S-16")
async def test_redirects(tmp_path: Path) -> None:
    """Redirects are followed; another host never sees the security token."""
    app, other = RecordingApp(), RecordingApp()
    async with serve(app) as port, serve(other) as elsewhere:
        app.answers["/a"] = Answer(307, b"", "", {"location": "/b"})
        app.answers["/b"] = Answer(302, b"", "", {"location": f"http://127.0.0.1:{elsewhere}/c"})
        app.answers["/loop"] = Answer(302, b"", "", {"location": "/loop"})
        metadata = {"securityToken": "t0", "securityTokenHeader": "X-Token"}
        async with opened(tmp_path, url=f"http://127.0.0.1:{port}", **metadata) as binding:
            answer = await binding.invoke("post", b"x", {"path": "/a"})
            with pytest.raises(ComponentError, match="10 redirects"):
                await binding.invoke("get", b"", {"path": "/loop"})
    assert answer.metadata["statusCode"] == "200"
    assert [(call.method, call.header("x-token")) for call in app.calls[:2]] == [
        ("POST", "t0"),
        ("POST", "t0"),
    ]
    assert [(c.method, c.body, c.header("x-token")) for c in other.calls] == [("GET", b"", None)]


@pytest.mark.row("S-16")
@pytest.mark.parametrize("place", ["file:///etc/hostname", "ftp://127.0.0.1/", "http://[::1"])
async def test_a_redirect_leads_to_http_alone(tmp_path: Path, place: str) -> None:
    """An answer that names a file, another protocol or nothing readable is an error."""
    app = RecordingApp(lambda _: Answer(302, b"", "", {"location": place}))
    async with serve(app) as port, opened(tmp_path, url=f"http://127.0.0.1:{port}") as binding:
        with pytest.raises(ComponentError):
            await binding.invoke("get", b"", {})
    assert len(app.calls) == 1


@pytest.mark.row("S-16")
async def test_a_path_stays_on_the_host(tmp_path: Path) -> None:
    """What a caller gives as a path is one, however much it looks like an address."""
    app = RecordingApp()
    paths = ("http://evil.example/", "//evil.example/x", "@evil.example/", "..//evil.example")
    async with serve(app) as port, opened(tmp_path, url=f"http://127.0.0.1:{port}") as binding:
        for path in paths:
            answer = await binding.invoke("get", b"", {"path": path})
            assert answer.metadata["statusCode"] == "200"
    assert len(app.calls) == len(paths)


async def test_answers_are_limited(tmp_path: Path) -> None:
    """An answer over ``maxResponseBodySize`` is an error that says so."""
    app = RecordingApp(lambda _: Answer(200, b"x" * 2000))
    async with serve(app) as port:
        url = f"http://127.0.0.1:{port}"
        async with opened(tmp_path, url=url, maxResponseBodySize="1Ki") as binding:
            with pytest.raises(ComponentError, match="larger than 1024 bytes"):
                await binding.invoke("get", b"", {})
        async with opened(tmp_path, url=url, maxResponseBodySize="2K") as binding:
            assert len((await binding.invoke("get", b"", {})).data or b"") == 2000


async def test_nobody_answers(tmp_path: Path) -> None:
    """A host that is away, one that takes too long, and a closed binding are errors."""
    binding = HttpBinding(context(tmp_path, VirtualClock(), KIND, url="http://127.0.0.1:1"))
    await binding.open()
    with pytest.raises(ComponentError, match=r"127\.0\.0\.1:1"):
        await binding.invoke("get", b"", {})
    await binding.close()
    with pytest.raises(ComponentError, match="closed"):
        await binding.invoke("get", b"", {})


async def test_a_deadline(tmp_path: Path) -> None:
    """An answer that does not come within ``responseTimeout`` is an error."""
    import asyncio

    app = RecordingApp()
    app.held["/"] = asyncio.Event()
    async with serve(app) as port:
        url = f"http://127.0.0.1:{port}"
        async with opened(tmp_path, url=url, responseTimeout="50ms") as binding:
            with pytest.raises(ComponentError, match="responseTimeout"):
                await binding.invoke("get", b"", {})
        app.held["/"].set()


@pytest.mark.parametrize(
    ("metadata", "text"),
    [
        ({}, "'url' must be set"),
        ({"url": "file:///etc/passwd"}, "'url' must be set"),
        ({"url": "http://x", "maxResponseBodySize": "lots"}, "not a size such as 100Mi"),
        ({"url": "http://x", "responseTimeout": "soon"}, "responseTimeout"),
        ({"url": "https://x", "MTLSClientCert": "c.pem"}, "set both"),
        ({"url": "https://x", "MTLSRootCA": "nowhere.pem"}, "MTLSRootCA 'nowhere.pem' is neither"),
        ({"url": "https://x", "MTLSRootCA": "-----BEGIN junk"}, "certificates cannot be used"),
    ],
)
async def test_bad_settings(tmp_path: Path, metadata: dict[str, str], text: str) -> None:
    """A setting that makes no sense stops the start."""
    with pytest.raises(ComponentError, match=text):
        async with opened(tmp_path, **metadata):
            pass


async def test_certificates_as_text_or_file(tmp_path: Path) -> None:
    """Root certificates may be PEM text or the name of a file."""
    found = ssl.create_default_context().get_ca_certs(binary_form=True)
    if not found:
        pytest.skip("this machine has no root certificates to borrow one from")
    pem = ssl.DER_cert_to_PEM_cert(found[0])
    (tmp_path / "root.pem").write_text(pem, encoding="ascii")
    for root in (pem, "root.pem"):
        async with opened(tmp_path, url="https://localhost", MTLSRootCA=root) as binding:
            assert "get" in binding.operations
