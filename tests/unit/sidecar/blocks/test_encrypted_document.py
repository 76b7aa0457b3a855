"""Dapr's encrypted documents."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daprflow.sidecar.blocks.encrypted_document import (
    SEGMENT,
    DocumentError,
    Sealing,
    open_sealed,
    seal,
)

PLAIN = Sealing("k1", "AES")


async def swapped(secret: bytes, algorithm: str, key_name: str) -> bytes:
    """A wrapping that is its own reverse."""
    return secret[::-1]


async def refused(secret: bytes, algorithm: str, key_name: str) -> bytes:
    """A wrapping that never works."""
    raise DocumentError("no such key")


@pytest.mark.parametrize("size", [0, 1, 15, 16, SEGMENT - 1, SEGMENT, SEGMENT + 1, 3 * SEGMENT])
@pytest.mark.parametrize("cipher", ["", "AES-GCM", "CHACHA20-POLY1305"])
async def test_what_was_sealed_can_be_opened(size: int, cipher: str) -> None:
    """Byte for byte, also around the size of a segment."""
    data = bytes(i % 251 for i in range(size))
    document = await seal(data, Sealing("k1", "RSA", cipher), swapped)
    assert await open_sealed(document, swapped) == data
    assert data == b"" or data[:15] not in document or size < 15


async def test_the_header_is_readable() -> None:
    """Three lines: the scheme, what is needed to decrypt, a signature."""
    scheme, manifest, signature, _ = (await seal(b"x", PLAIN, swapped)).split(b"\n", 3)
    assert scheme == b"dapr.io/enc/v1"
    read = json.loads(manifest)
    assert list(read) == ["k", "kw", "wfk", "cph", "np"]
    assert (read["k"], read["kw"], read["cph"]) == ("k1", 1, 1)
    assert len(base64.b64decode(read["np"])) == 7
    assert len(base64.b64decode(signature)) == 32


async def test_the_key_can_be_left_out_or_named_otherwise() -> None:
    """Whoever decrypts then has to know it."""
    omitted = await seal(b"x", Sealing("k1", "AES", omit_key=True), swapped)
    assert b'"k"' not in omitted
    with pytest.raises(DocumentError, match="does not contain a key name, and no key name was"):
        await open_sealed(omitted, swapped)
    assert await open_sealed(omitted, swapped, "k1") == b"x"
    other = await seal(b"x", Sealing("k1", "AES", stated_key="k2"), swapped)
    assert b'"k":"k2"' in other


async def test_the_named_key_is_asked_for() -> None:
    """The document's name counts, unless the caller gives another."""
    asked: list[tuple[str, str]] = []

    async def unwrap(secret: bytes, algorithm: str, key_name: str) -> bytes:
        asked.append((algorithm, key_name))
        return secret[::-1]

    document = await seal(b"x", PLAIN, swapped)
    assert await open_sealed(document, unwrap) == await open_sealed(document, unwrap, "k9") == b"x"
    assert asked == [("A256KW", "k1"), ("A256KW", "k9")]


@pytest.mark.row("S-43")
@given(st.integers(0, 3000), st.integers(1, 255))
async def test_no_changed_document_is_opened(position: int, change: int) -> None:
    """Whatever byte is changed, nothing comes out."""
    document = bytearray(await seal(bytes(2000), PLAIN, swapped))
    at = position % len(document)
    document[at] ^= change
    with pytest.raises(DocumentError):
        await open_sealed(bytes(document), swapped)


@pytest.mark.parametrize("kept", [SEGMENT, SEGMENT + 16, 2 * SEGMENT + 32])
async def test_a_document_cut_short_is_refused(kept: int) -> None:
    """The last segment says that it is the last."""
    document = await seal(bytes(2 * SEGMENT + 5), PLAIN, swapped)
    start = len(document) - (2 * SEGMENT + 5 + 3 * 16)
    with pytest.raises(DocumentError, match="error processing segment"):
        await open_sealed(document[: start + kept], swapped)


@pytest.mark.row("S-43")
async def test_a_missing_key_looks_like_a_changed_document() -> None:
    """Nobody learns from the error which keys there are."""
    document = await seal(b"x", PLAIN, swapped)
    with pytest.raises(DocumentError, match="failed to validate the document's signature"):
        await open_sealed(document, refused)
    with pytest.raises(DocumentError, match="failed to wrap the file key: no such key"):
        await seal(b"x", PLAIN, refused)


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b"", "scheme name not found"),
        (b"hello", "scheme name not found"),
        (b"x\ny\nz\n", "unsupported scheme"),
        (b"dapr.io/enc/v1\n", "manifest not found"),
        (b"dapr.io/enc/v1\n{}\n", "message authentication code not found"),
        (b"dapr.io/enc/v1\n{}\n\n", "message authentication code not found"),
        (b"dapr.io/enc/v1\n{}\nAA==\n", "invalid manifest"),
        (b"dapr.io/enc/v1\n[\nAA==\n", "invalid manifest"),
        (b'dapr.io/enc/v1\n{"kw":1,"wfk":"AA==","cph":9,"np":"AA=="}\nAA==\n', "invalid manifest"),
        (b"dapr.io/enc/v1\n{}\n*\n", "failed to decode header's signature"),
    ],
)
async def test_what_is_no_document_is_refused(document: bytes, reason: str) -> None:
    """The error says what is missing and quotes nothing."""
    with pytest.raises(DocumentError, match=reason):
        await open_sealed(document, swapped)


@pytest.mark.parametrize(
    ("sealing", "reason"),
    [
        (Sealing("k", "ROT13"), "option Algorithm is not valid: algorithm ROT13 is not supported"),
        (Sealing("k", "AES", "DES"), "option Cipher is not valid: cipher DES is not supported"),
    ],
)
async def test_unknown_algorithms_are_named(sealing: Sealing, reason: str) -> None:
    """Before any key is used."""
    with pytest.raises(DocumentError, match=reason):
        await seal(b"x", sealing, refused)
