"""TLS: what a client believes of a sidecar elsewhere, and an app that is served over HTTPS."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from starlette.types import Receive, Scope, Send

from daprflow.protocol.http import HttpRequest
from daprflow.settings import Settings
from daprflow.transports.base import ConnectionLost
from daprflow.transports.grpc import open_channel
from daprflow.transports.grpc_endpoint import parse
from daprflow.transports.http import HttpTransport
from daprflow.transports.server import HttpServer, Limits
from daprflow.transports.tls import TlsFileError, client_context, server_context
from tests.helpers.certificates import Files, files_of
from tests.helpers.grpc_echo import Echo, EchoStub, serving

GET = HttpRequest("GET", "/v1.0/metadata", ())
BAD = ("expired", "other name", "other authority")


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    """Say which scheme a request came by."""
    body = scope["scheme"].encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@contextlib.asynccontextmanager
async def https(files: Files, *, asks: bool = False) -> AsyncIterator[int]:
    """Serve with a pair; ``asks`` for the callers' certificate."""
    context = server_context(files.pair, None)
    if asks:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(files.ca)
    listener = socket.create_server(("127.0.0.1", 0))
    server = HttpServer(hello, Limits(header_bytes=4096, linger_seconds=0.5), tls=context)
    await server.start(listener)
    try:
        yield listener.getsockname()[1]
    finally:
        await server.stop(1.0)


async def ask(port: int, **settings: str) -> bytes:
    """Call the server as a client calls its sidecar."""
    transport = HttpTransport(Settings(http_endpoint=f"https://127.0.0.1:{port}", **settings))  # type: ignore[arg-type]
    try:
        return (await transport.send(GET)).body
    finally:
        await transport.close()


@pytest.mark.row("S-34")
async def test_an_authority_of_ones_own_is_believed(tmp_path: Path) -> None:
    """A sidecar whose certificate an authority of ``sidecar_ca`` signed is called over HTTPS."""
    files = files_of(tmp_path, "good")
    async with https(files) as port:
        assert await ask(port, sidecar_ca=str(files.ca)) == b"https"


@pytest.mark.row("S-34")
@pytest.mark.parametrize("kind", BAD)
async def test_certificates_that_are_not_good_are_refused(tmp_path: Path, kind: str) -> None:
    """Expired, for another name, or signed by nobody one knows: no request is sent."""
    files = files_of(tmp_path, kind)
    async with https(files) as port:
        with pytest.raises(ConnectionLost, match="ertificate"):
            await ask(port, sidecar_ca=str(files.ca))


@pytest.mark.row("S-34")
async def test_without_settings_nobody_unknown_is_believed(tmp_path: Path) -> None:
    """Verifying is the default: an authority that the machine does not know is not enough."""
    async with https(files_of(tmp_path, "good")) as port:
        with pytest.raises(ConnectionLost, match="certificate verify failed"):
            await ask(port)


@pytest.mark.row("S-34")
async def test_a_client_shows_its_certificate(tmp_path: Path) -> None:
    """A sidecar that asks for one takes it, and refuses who has none."""
    files = files_of(tmp_path, "good")
    mine = str(files.pair)
    async with https(files, asks=True) as port:
        shown = {"sidecar_ca": str(files.ca), "sidecar_cert": mine, "sidecar_key": mine}
        assert await ask(port, **shown) == b"https"
        with pytest.raises(ConnectionLost):
            await ask(port, sidecar_ca=str(files.ca))


async def echoed(port: int, **settings: str) -> bytes:
    """Call a gRPC service with TLS."""
    known = Settings(**settings)  # type: ignore[arg-type]
    channel = open_channel(parse(f"https://localhost:{port}"), known)
    async with channel:
        return bytes(await EchoStub(channel).unary(b"hello", timeout=20))


@pytest.mark.row("S-34")
@pytest.mark.parametrize("kind", ["good", *BAD])
async def test_the_same_holds_over_grpc(tmp_path: Path, kind: str) -> None:
    """A channel with TLS verifies by the same settings."""
    files = files_of(tmp_path, kind)
    async with serving(Echo(), files.pair.read_bytes()) as port:
        if kind == "good":
            assert await echoed(port, sidecar_ca=str(files.ca)) == b"hello"
            return
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await echoed(port, sidecar_ca=str(files.ca))
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_plain_http_gets_nothing_from_https(tmp_path: Path) -> None:
    """Who does not speak TLS is hung up on."""
    async with https(files_of(tmp_path, "good")) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        async with asyncio.timeout(10):
            with contextlib.suppress(ConnectionError):
                assert b"HTTP/1.1 200" not in await reader.read()
        writer.close()


@pytest.mark.parametrize("raw", [b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nx: " + b"y" * 9000])
async def test_refusals_are_read_over_tls(tmp_path: Path, raw: bytes) -> None:
    """A request that is refused gets its answer, although TLS has no half-closed connections."""
    files = files_of(tmp_path, "good")
    context = client_context(Settings(sidecar_ca=str(files.ca)))
    async with https(files) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        writer.write(raw)
        async with asyncio.timeout(10):
            assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 4")
        writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"sidecar_ca": "missing.pem"}, "'missing.pem' cannot be read"),
        ({"sidecar_ca": "key.txt"}, "'key.txt' holds no certificate"),
        ({"sidecar_cert": "key.txt"}, "belong together"),
        ({"sidecar_key": "key.txt"}, "belong together"),
        ({"sidecar_cert": "key.txt", "sidecar_key": "key.txt"}, "cannot be used"),
    ],
)
def test_files_that_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], told: str
) -> None:
    """The text names the file, and nothing that is in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "key.txt").write_text("-----BEGIN PRIVATE KEY-----\ns3cr3t", encoding="utf-8")
    with pytest.raises(TlsFileError, match=told) as refused:
        client_context(Settings(**files))  # type: ignore[arg-type]
    assert "s3cr3t" not in str(refused.value)


def test_a_key_with_a_password_asks_nobody(tmp_path: Path) -> None:
    """A server that starts alone cannot be asked for a password, so it says so."""
    from cryptography.hazmat.primitives import serialization as written
    from cryptography.hazmat.primitives.asymmetric import ec

    files = files_of(tmp_path, "good")
    locked = tmp_path / "locked.pem"
    locked.write_bytes(
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            written.Encoding.PEM,
            written.PrivateFormat.PKCS8,
            written.BestAvailableEncryption(b"word"),
        )
    )
    with pytest.raises(TlsFileError, match="may have no password"):
        server_context(files.pair, locked)


def test_what_is_trusted_comes_from_the_environment() -> None:
    """Three variables name the files."""
    names = ("CA", "CERT", "KEY")
    found = Settings.from_env({f"DAPRFLOW_SIDECAR_{name}": name for name in names})
    assert (found.sidecar_ca, found.sidecar_cert, found.sidecar_key) == names
