"""Dapr's encrypted document, ``dapr.io/enc/v1``: a signed header, then sealed segments."""

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

SCHEME = b"dapr.io/enc/v1"
SEGMENT = 64 * 1024
TAG = 16
KEY_SIZE = 32
PREFIX_SIZE = 7
ALGORITHMS = {
    "A256KW": 1,
    "A128CBC-NOPAD": 2,
    "A192CBC-NOPAD": 3,
    "A256CBC-NOPAD": 4,
    "RSA-OAEP-256": 5,
}
ALIASES = {"AES": "A256KW", "RSA": "RSA-OAEP-256"}
CIPHERS = {"AES-GCM": 1, "CHACHA20-POLY1305": 2}

Wrap = Callable[[bytes, str, str], Awaitable[bytes]]
"""Wraps a file key with an algorithm and the key of a name; or takes it out again."""


class DocumentError(Exception):
    """A document that cannot be made or opened; the text is the runtime's."""


class SegmentError(DocumentError):
    """A document whose head is sound, and whose content is not."""


@dataclass(frozen=True, slots=True)
class Sealing:
    """How a document is to be made.

    Attributes:
        key_name: the key that wraps the document's own one.
        algorithm: in upper case, a name or an alias.
        cipher: in upper case; empty means AES-GCM.
        stated_key: the name the document carries; empty means ``key_name``.
    """

    key_name: str
    algorithm: str
    cipher: str = ""
    stated_key: str = ""
    omit_key: bool = False


class _Manifest(msgspec.Struct, frozen=True):
    key_name: str | None = msgspec.field(default=None, name="k")
    algorithm: int = msgspec.field(default=0, name="kw")
    wrapped: str = msgspec.field(default="", name="wfk")
    cipher: int = msgspec.field(default=0, name="cph")
    prefix: str = msgspec.field(default="", name="np")


class _WrittenManifest(_Manifest, frozen=True, omit_defaults=True):
    """Written without the key's name where that is left out."""


@dataclass(frozen=True, slots=True)
class FileKey:
    """The key of one document, and what is derived from it."""

    secret: bytes
    prefix: bytes
    cipher: int

    def signature(self, message: bytes) -> bytes:
        """Return the code that proves ``message`` to be the document's head."""
        key = _derived(self.secret, b"header", b"")
        return hmac.new(key, message, hashlib.sha256).digest()

    def aead(self) -> "AESGCM | ChaCha20Poly1305":
        """Return what seals and opens the segments."""
        from cryptography.hazmat.primitives.ciphers import aead  # noqa: PLC0415 - an extra

        key = _derived(self.secret, b"payload", self.prefix)
        return aead.AESGCM(key) if self.cipher == CIPHERS["AES-GCM"] else aead.ChaCha20Poly1305(key)

    def nonce(self, number: int, *, last: bool) -> bytes:
        """Return the nonce of a segment."""
        return self.prefix + number.to_bytes(4, "big") + (b"\1" if last else b"\0")


async def seal(data: bytes, sealing: Sealing, wrap: Wrap) -> bytes:
    """Return the document that holds ``data``, made in a thread.

    Raises:
        DocumentError: the algorithm or the cipher is none, or ``wrap`` raised it.
    """
    key, head = await new_document(sealing, wrap)
    return await asyncio.to_thread(_sealed, key, head, data)


async def new_document(sealing: Sealing, wrap: Wrap) -> tuple[FileKey, bytes]:
    """Return the key of a new document, and its head with the signature.

    Raises:
        DocumentError: the algorithm or the cipher is none, or ``wrap`` raised it.
    """
    algorithm = ALIASES.get(sealing.algorithm, sealing.algorithm)
    if algorithm not in ALGORITHMS:
        text = f"option Algorithm is not valid: algorithm {sealing.algorithm} is not supported"
        raise DocumentError(text)
    cipher = CIPHERS.get(sealing.cipher or "AES-GCM")
    if cipher is None:
        text = f"option Cipher is not valid: cipher {sealing.cipher} is not supported"
        raise DocumentError(text)
    key = FileKey(secrets.token_bytes(KEY_SIZE), secrets.token_bytes(PREFIX_SIZE), cipher)
    try:
        wrapped = await wrap(key.secret, algorithm, sealing.key_name)
    except DocumentError as error:
        raise DocumentError(f"failed to wrap the file key: {error}") from error
    manifest = _WrittenManifest(
        None if sealing.omit_key else sealing.stated_key or sealing.key_name,
        ALGORITHMS[algorithm],
        base64.b64encode(wrapped).decode(),
        cipher,
        base64.b64encode(key.prefix).decode(),
    )
    head = SCHEME + b"\n" + msgspec.json.encode(manifest) + b"\n"
    return key, b"".join((head, base64.b64encode(key.signature(head)), b"\n"))


def _sealed(key: FileKey, head: bytes, data: bytes) -> bytes:
    aead = key.aead()
    segments = (
        aead.encrypt(key.nonce(number, last=last), part, None)
        for number, part, last in _segments(data, SEGMENT)
    )
    return b"".join((head, *segments))


async def open_sealed(document: bytes, unwrap: Wrap, key_name: str = "") -> bytes:
    """Return what ``document`` holds, opened in a thread.

    Args:
        document: the whole of it.
        unwrap: takes the document's key out of its wrapping; whatever goes wrong there looks the
            same from outside as a document that was tampered with.
        key_name: the key to use, instead of the one the document names.

    Raises:
        DocumentError: it is no document, was changed, or is of another key.
    """
    key, body = await opened_head(document, unwrap, key_name)
    return await asyncio.to_thread(_opened, key, body)


async def opened_head(document: bytes, unwrap: Wrap, key_name: str) -> tuple[FileKey, bytes]:
    """Return the key of a document, whose head proved to be sound, and what follows the head.

    Args:
        document: as much of it as its head takes, or more.
        unwrap: as for `open_sealed`.
        key_name: as for `open_sealed`.

    Raises:
        DocumentError: it is no document, was changed, or is of another key.
    """
    manifest, mac, body = _head(document)
    read, wrapped, prefix = _manifest(manifest)
    name = key_name or read.key_name
    if not name:
        text = "document's manifest does not contain a key name, and no key name was provided"
        raise DocumentError(text)
    algorithm = next(name for name, number in ALGORITHMS.items() if number == read.algorithm)
    try:
        secret = await unwrap(wrapped, algorithm, name)
    except DocumentError:
        secret = b""
    if len(secret) != KEY_SIZE:
        secret = bytes(KEY_SIZE)  # the signature fails then; whether a key exists is not told
    key = FileKey(secret, prefix, read.cipher)
    if not hmac.compare_digest(key.signature(SCHEME + b"\n" + manifest + b"\n"), mac):
        raise DocumentError("failed to validate the document's signature")
    return key, body


def _opened(key: FileKey, body: bytes) -> bytes:
    aead = key.aead()
    return b"".join(
        opened_segment(aead, key.nonce(number, last=last), part, number)
        for number, part, last in _segments(body, SEGMENT + TAG)
    )


def opened_segment(
    aead: "AESGCM | ChaCha20Poly1305", nonce: bytes, part: bytes | memoryview, number: int
) -> bytes:
    """Return what one segment holds.

    Raises:
        SegmentError: it was changed.
    """
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - an extra

    try:
        return aead.decrypt(nonce, part, None)
    except (InvalidTag, ValueError):
        text = f"error processing segment {number}: failed to decrypt segment"
        raise SegmentError(text) from None


def _segments(data: bytes, size: int) -> Iterator[tuple[int, memoryview, bool]]:
    """Yield number, content and "is the last" of each segment; nothing has none."""
    view = memoryview(data)
    for number, start in enumerate(range(0, len(data), size)):
        yield number, view[start : start + size], start + size >= len(data)


def _head(document: bytes) -> tuple[bytes, bytes, bytes]:
    """Return manifest, signature and the rest."""
    lines = document[:SEGMENT].split(b"\n", 3)
    if len(lines) == 1:
        raise DocumentError("invalid header: scheme name not found")
    if lines[0] != SCHEME:
        raise DocumentError("invalid header: unsupported scheme")
    if len(lines) < 3 or not lines[1]:  # noqa: PLR2004 - scheme, manifest, what follows it
        raise DocumentError("invalid header: manifest not found")
    if len(lines) < 4 or not lines[2]:  # noqa: PLR2004 - and the signature
        raise DocumentError("invalid header: message authentication code not found")
    start = sum(len(line) + 1 for line in lines[:3])
    try:
        return lines[1], base64.b64decode(lines[2], validate=True), document[start:]
    except binascii.Error:
        raise DocumentError("failed to decode header's signature: it is no base64") from None


def _manifest(text: bytes) -> tuple[_Manifest, bytes, bytes]:
    """Return the manifest with its wrapped key and its nonce prefix; say no more than "invalid"."""
    try:
        read = msgspec.json.decode(text, type=_Manifest)
        wrapped = base64.b64decode(read.wrapped, validate=True)
        prefix = base64.b64decode(read.prefix, validate=True)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise DocumentError("invalid header: invalid manifest") from None
    sound = read.algorithm in ALGORITHMS.values() and read.cipher in CIPHERS.values()
    if not sound or not wrapped or len(prefix) != PREFIX_SIZE:
        raise DocumentError("invalid header: invalid manifest")
    return read, wrapped, prefix


def _derived(secret: bytes, purpose: bytes, salt: bytes) -> bytes:
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415 - an extra
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415 - an extra

    return HKDF(hashes.SHA256(), KEY_SIZE, salt or None, purpose).derive(secret)
