"""The body of a call that may have to be sent more than once."""

from collections.abc import AsyncIterator


class ReplayedBody:
    """Keeps what was taken of a body, so that a further attempt can send it again.

    Args:
        chunks: the body as it arrives.
        limit: bytes that are kept at most; None keeps all.
    """

    def __init__(self, chunks: AsyncIterator[bytes], limit: int | None = None) -> None:
        self._chunks = chunks
        self._limit = limit
        self._kept: list[bytes] = []
        self._size = 0
        self._broken = False

    @property
    def complete(self) -> bool:
        """Whether the body can be sent again from its beginning to its end."""
        return not self._broken and not self._is_too_large()

    async def again(self) -> AsyncIterator[bytes]:
        """Yield what was taken before, then the rest."""
        for chunk in list(self._kept):
            yield chunk
        self._broken = True  # while a chunk is awaited: whoever is cancelled then has lost it
        async for chunk in self._chunks:
            self._broken = False
            self._size += len(chunk)
            if not self._is_too_large():
                self._kept.append(chunk)
            yield chunk
            self._broken = True
        self._broken = False

    def _is_too_large(self) -> bool:
        return self._limit is not None and self._size > self._limit
