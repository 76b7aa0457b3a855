"""The messages of a proxied call, of which the first can be sent again."""

from collections.abc import AsyncIterator


class NotReplayable(Exception):  # noqa: N818 - named for the state
    """A call that a policy would make again has more than one message."""

    def __init__(self) -> None:
        super().__init__("cannot use resiliency policies with retries on streaming RPCs")


class ProxiedMessages:
    """What a caller sends, for one attempt after another.

    Attributes:
        keep_first: whether the first message is kept for further attempts; a second one is an
            error then, as in the real runtime.
        failed: that error, once it happened.
    """

    def __init__(self, messages: AsyncIterator[bytes]) -> None:
        self._messages = messages
        self._first: bytes | None = None
        self.keep_first = False
        self.failed: NotReplayable | None = None

    async def again(self) -> AsyncIterator[bytes]:
        """Yield what was kept, then the rest.

        Raises:
            NotReplayable: there is more than can be kept.
        """
        if self._first is not None:
            yield self._first
        async for message in self._messages:
            if self.keep_first:
                if self._first is not None:
                    self.failed = NotReplayable()
                    raise self.failed
                self._first = message
            yield message
