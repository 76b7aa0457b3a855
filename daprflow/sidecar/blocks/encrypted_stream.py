"""Dapr's encrypted document made and opened while it comes, of which one segment is held."""

from collections.abc import AsyncGenerator, AsyncIterator

from daprflow.sidecar.blocks.encrypted_document import (
    SEGMENT,
    TAG,
    DocumentError,
    Sealing,
    Wrap,
    new_document,
    opened_head,
    opened_segment,
)

_HEAD_LINES = 3


async def seal_parts(
    parts: AsyncIterator[bytes], sealing: Sealing, wrap: Wrap
) -> AsyncGenerator[bytes, None]:
    """Yield the head of a new document at once, then each segment of what ``parts`` gives.

    Raises:
        DocumentError: the options are wrong, or ``wrap`` or ``parts`` raised it.
    """
    key, head = await new_document(sealing, wrap)
    yield head
    aead = key.aead()
    async for number, part, last in _Segments(parts).of(SEGMENT):
        yield aead.encrypt(key.nonce(number, last=last), part, None)


async def open_parts(
    parts: AsyncIterator[bytes], unwrap: Wrap, key_name: str
) -> AsyncGenerator[bytes, None]:
    """Yield what each segment holds of the document that ``parts`` gives.

    Raises:
        DocumentError: it is no document, was changed, or is of another key, or ``parts`` raised it.
    """
    segments = _Segments(parts)
    key, rest = await opened_head(await segments.head(), unwrap, key_name)
    segments.put_back(rest)
    aead = key.aead()
    async for number, part, last in segments.of(SEGMENT + TAG):
        yield opened_segment(aead, key.nonce(number, last=last), part, number)


class _Segments:
    """Cuts what comes in parts of any size into pieces of one size."""

    def __init__(self, parts: AsyncIterator[bytes]) -> None:
        self._parts = parts
        self._held = bytearray()
        self._ended = False
        self._problem: DocumentError | None = None

    async def head(self) -> bytes:
        """Take as much as a document's head needs; what stops it early is told with the rest."""
        while not self._ended and len(self._held) < SEGMENT:
            if self._held.count(b"\n") >= _HEAD_LINES:
                break
            await self._take()
        head = bytes(self._held)
        self._held.clear()
        return head

    def put_back(self, rest: bytes) -> None:
        """Put what was taken too much before what follows."""
        self._held[:0] = rest

    async def of(self, size: int) -> AsyncIterator[tuple[int, bytes, bool]]:
        """Yield number, content and "is the last" of each piece; nothing has none."""
        number, last = 0, False
        while not last:
            while len(self._held) <= size and not self._ended:
                await self._take()
            last = len(self._held) <= size
            if last and self._problem is not None:
                raise self._problem
            piece = bytes(self._held[:size])
            del self._held[:size]
            if piece:
                yield number, piece, last
            number += 1

    async def _take(self) -> None:
        try:
            self._held += await anext(self._parts)
        except StopAsyncIteration:
            self._ended = True
        except DocumentError as problem:
            self._ended, self._problem = True, problem
