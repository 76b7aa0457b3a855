"""C-CR rows: what a cryptography component does, through the client and the HTTP API."""

import base64
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daprflow.client import Client
from daprflow.errors import SidecarError
from daprflow.protocol.http import HttpRequest
from daprflow.sidecar.components.base import ComponentError
from daprflow.sidecar.http_api.app import HttpApi
from daprflow.testing.transport import InProcessTransport
from tests.helpers.keys import write_keys
from tests.helpers.sidecar import InProcessSidecar, in_process_sidecar

RSA = ["rsa.pem", "rsa1.pem", "rsa-guessed", "rsa.json"]
AES = ["aes", "aes-url", "aes.json"]
WRITTEN_BY_A_REAL_RUNTIME = {
    "ZGFwci5pby9lbmMvdjEKeyJrIjoiZml4ZWQiLCJrdyI6MSwid2ZrIjoib25uS2Q5TUx6bGhUeGEwUEFUd2tiOFBZVHVo"
    "YWJGeTZ6UklDU0xpNmFjajVZU3ZBUGxaVXVRPT0iLCJjcGgiOjEsIm5wIjoid2JsbHFJT1RPUT09In0KTVBtc3RDV2Jx"
    "S3JQNUd1TURYK1BxVGpaMU5EMUdPTFl5MU0yeE1rUHlrUT0K4VgzKmEz8CFN79BMLJUeWVl5azRvXBATOqgCHk63/O0o"
    "bsFGzas6+PQ=": "AES-GCM",
    "ZGFwci5pby9lbmMvdjEKeyJrIjoiZml4ZWQiLCJrdyI6MSwid2ZrIjoiYVhaQ0JhQjRxN0ErNVNHZWlTY05TSDBxYTBp"
    "S0VPVmlabnVZRi81QWpESGY1QnV4NDdKbmNnPT0iLCJjcGgiOjIsIm5wIjoiRGE0bW9xeGJCdz09In0KSDY3cVpzUHRL"
    "Vm1Ccjc5b3lPeUl2Z3Z4dzBXWDlJUUJ6bFBXZFZQcEppVT0K5uCw7v6EXtCMAWua4Ff0/RYSKmIR1I8IUDu7aTcrETqZ"
    "gGi3NiKVDcU=": "CHACHA20-POLY1305",
}
"""Documents of runtime 1.18.3 (key "fixed", bytes 0 to 31), and their ciphers."""


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with keys of every form."""
    folder = tmp_path_factory.mktemp("crypto") / "keys"
    write_keys(folder)
    return folder


@contextlib.asynccontextmanager
async def vault(keys: Path) -> AsyncIterator[tuple[Client, InProcessSidecar]]:
    """A client of a sidecar with the component "vault"."""
    components = {"vault": ("crypto.dapr.localstorage", {"path": str(keys)})}
    async with (
        in_process_sidecar(keys.parent, components) as sidecar,
        Client(transport=InProcessTransport(HttpApi(sidecar.runtime))) as client,
    ):
        yield client, sidecar


@pytest.mark.parametrize("cipher", ["", "aes-gcm", "chacha20-poly1305"])
@pytest.mark.parametrize(("names", "algorithm"), [(RSA, "RSA"), (AES, "aes"), (["aes-raw"], "AES")])
async def test_every_form_of_a_key_works(
    keys: Path, names: list[str], algorithm: str, cipher: str
) -> None:
    """C-CR-02: what one form of a key encrypted, every other form of it decrypts."""
    text = b"thirteen bytes is no multiple of anything"
    async with vault(keys) as (client, _):
        for one in names:
            document = await client.encrypt(
                "vault", text, key=one, algorithm=algorithm, cipher=cipher
            )
            for other in names:
                assert await client.decrypt("vault", document, key=other) == text
            assert await client.decrypt("vault", document) == text


@pytest.mark.row("S-43")
@pytest.mark.parametrize("document", WRITTEN_BY_A_REAL_RUNTIME)
async def test_documents_of_a_real_runtime_are_read(tmp_path: Path, document: str) -> None:
    """What it wrote with either cipher is opened with the key it had; a changed byte is told."""
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "fixed").write_bytes(base64.b64encode(bytes(range(32))))
    sealed = base64.b64decode(document)
    broken = sealed[:-1] + bytes([sealed[-1] ^ 1])
    async with vault(tmp_path / "keys") as (client, sidecar):
        assert await client.decrypt("vault", sealed) == b"written by a real runtime"
        request = HttpRequest("PUT", "/v1.0-alpha1/crypto/vault/decrypt", (), broken)
        answer = await sidecar.exchange.send(request)
    text = b"error processing segment 0: failed to decrypt segment"
    assert (answer.status, answer.body) == (500, b'{"errorCode":"ERROR","message":"%b"}' % text)


async def test_a_public_key_encrypts_for_its_private_one(keys: Path) -> None:
    """The document names the key to decrypt with."""
    async with vault(keys) as (client, _):
        document = await client.encrypt(
            "vault", b"x", key="public.pem", algorithm="RSA", decryption_key="rsa.pem"
        )
        assert await client.decrypt("vault", document) == b"x"
        with pytest.raises(SidecarError, match="failed to validate the document's signature"):
            await client.decrypt("vault", document, key="public.pem")


@pytest.mark.parametrize(
    ("key", "algorithm", "reason"),
    [
        ("none", "RSA", r"failed to load key 'none': open .*none: no such file or directory"),
        ("../keys/aes", "AES", r"invalid key path: cannot contain '\.\.'"),
        (".", "AES", "is a directory|Is a directory"),
        ("aes", "RSA", "key type mismatch"),
        ("rsa.pem", "AES", "key type mismatch"),
        ("short", "AES", "key type mismatch"),
        ("short", "A128CBC-NOPAD", "unsupported algorithm"),
        ("sign.json", "AES", "key cannot perform the 'wrapKey' operation"),
        ("gcm.json", "AES", "key cannot be used with algorithm 'A256KW'"),
        ("empty", "AES", "key is empty"),
        ("broken.pem", "RSA", "invalid key"),
        ("broken.json", "AES", "invalid key"),
        ("curve.json", "RSA", "key type mismatch"),
        ("aes", "ROT13", "algorithm ROT13 is not supported"),
    ],
)
async def test_a_key_that_cannot_do_it_is_named(
    keys: Path, key: str, algorithm: str, reason: str
) -> None:
    """One clear error; nothing of a key is in it."""
    async with vault(keys) as (client, _):
        with pytest.raises(SidecarError, match=reason) as caught:
            await client.encrypt("vault", b"x", key=key, algorithm=algorithm)
    assert (caught.value.code, caught.value.status) == ("ERR_CRYPTO", 500)
    assert "private1" not in str(caught.value)


async def in_pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    """``data`` in pieces of ``size``."""
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def joined(chunks: AsyncIterator[bytes]) -> bytes:
    """Everything that ``chunks`` give."""
    return b"".join([chunk async for chunk in chunks])


@pytest.mark.parametrize("size", [0, 1, 200_000])
async def test_what_comes_in_pieces_is_encrypted_in_pieces(keys: Path, size: int) -> None:
    """A stream's document is a document like any other, and the other way round."""
    data = bytes(number % 251 for number in range(size))
    async with vault(keys) as (client, _):
        sealed = client.encrypt_stream("vault", in_pieces(data, 7000), key="aes", algorithm="AES")
        document = await joined(sealed)
        assert await client.decrypt("vault", document) == data
        whole = await client.encrypt("vault", data, key="rsa.pem", algorithm="RSA")
        assert await joined(client.decrypt_stream("vault", in_pieces(whole, 999))) == data


async def test_a_stream_that_cannot_be_encrypted_says_why(keys: Path) -> None:
    """The same errors as of a whole body, before anything is given."""
    async with vault(keys) as (client, _):
        sealed = client.encrypt_stream("vault", in_pieces(b"x", 1), key="none", algorithm="AES")
        with pytest.raises(SidecarError, match="failed to load key 'none'") as caught:
            await joined(sealed)
        assert caught.value.code == "ERR_CRYPTO"
        with pytest.raises(SidecarError, match="scheme name not found"):
            await joined(client.decrypt_stream("vault", in_pieces(b"no document", 3)))


async def test_a_missing_component_is_named(keys: Path, tmp_path: Path) -> None:
    """As the runtime says it, with any component and with none."""
    async with vault(keys) as (client, _):
        with pytest.raises(SidecarError, match="crypto provider zzz not found"):
            await client.encrypt("zzz", b"x", key="aes", algorithm="AES")
    async with (
        in_process_sidecar(tmp_path, {}) as sidecar,
        Client(transport=InProcessTransport(HttpApi(sidecar.runtime))) as client,
    ):
        with pytest.raises(SidecarError, match="crypto providers not configured"):
            await client.decrypt("vault", b"x")


@pytest.mark.parametrize(
    ("headers", "missing"),
    [
        ((), "dapr-key-name"),
        ((("dapr-key-name", "aes"),), "dapr-key-wrap-algorithm"),
    ],
)
async def test_missing_headers_are_named(
    keys: Path, headers: tuple[tuple[str, str], ...], missing: str
) -> None:
    """A caller over plain HTTP learns which one."""
    request = HttpRequest("PUT", "/v1.0-alpha1/crypto/vault/encrypt", headers, b"x")
    async with vault(keys) as (_, sidecar):
        answer = await sidecar.exchange.send(request)
    assert answer.status == 400
    assert f"invalid request: missing header '{missing}'".encode() in answer.body


@pytest.mark.parametrize("call", ["getkey", "encrypt", "decrypt", "wrapkey", "sign", "verify"])
async def test_low_level_calls_are_not_in_official_builds(keys: Path, call: str) -> None:
    """C-CR-01, 03: keys, signatures and the like answer 501, as the recorded runtime does."""
    request = HttpRequest("POST", f"/v1.0-alpha1/subtlecrypto/vault/{call}", (), b"{}")
    async with vault(keys) as (_, sidecar):
        answer = await sidecar.exchange.send(request)
    assert (answer.status, answer.body) == (
        501,
        b'{"errorCode":"ERR_API_UNIMPLEMENTED","message":"this API is currently not implemented"}',
    )


@pytest.mark.parametrize(
    ("path", "reason"),
    [("", "'path' is required"), ("none", "could not stat"), ("keys/aes", "not a directory")],
)
async def test_a_wrong_folder_stops_the_start(keys: Path, path: str, reason: str) -> None:
    """The component's name and what to do are in the error."""
    components = {"vault": ("crypto.dapr.localstorage", {"path": path})}
    with pytest.raises(ComponentError, match=f"component 'vault'.*{reason}"):
        async with in_process_sidecar(keys.parent, components):
            raise AssertionError("it started")
