"""A stream over gRPC that an interceptor saw opened, and how it ended."""

import time
from collections.abc import Callable

import msgspec

OK = 200


class StreamEnd(msgspec.Struct, frozen=True):
    """How a stream ended.

    Attributes:
        status: HTTP's; 200 where it came to its end by itself.
        code: what it ended with; empty where that is no error.
        seconds: how long it was open.

    Example:
        ```python
        def told(end: StreamEnd) -> None:
            print("after", end.seconds, "seconds:", end.code or "ended")
        ```
    """

    status: int
    code: str
    seconds: float


class OpenStream:
    """A stream that is open, for interceptors.

    Attributes:
        end: how it ended; None while it is open.

    Example:
        ```python
        async def watched(call: ClientCall, go_on: CallNext) -> ClientResponse:
            response = await go_on(call)
            if response.stream is not None:
                response.stream.listen(lambda end: print(call.name, end.status, end.seconds))
            return response
        ```
    """

    __slots__ = ("_began", "_listeners", "end")

    def __init__(self) -> None:
        self.end: StreamEnd | None = None
        self._began = time.perf_counter()
        self._listeners: tuple[Callable[[StreamEnd], None], ...] = ()

    def listen(self, listener: Callable[[StreamEnd], None], /) -> None:
        """Have ``listener`` called when it ends; at once where it has ended.

        Example:
            ```python
            async def watched(call: ClientCall, go_on: CallNext) -> ClientResponse:
                response = await go_on(call)
                if response.stream is not None:
                    response.stream.listen(print)
                return response
            ```
        """
        if self.end is not None:
            listener(self.end)
        else:
            self._listeners = (*self._listeners, listener)

    def finish(self, status: int = OK, code: str = "") -> None:
        """Note its end; the first one counts."""
        if self.end is not None:
            return
        self.end = StreamEnd(status, code, time.perf_counter() - self._began)
        listeners, self._listeners = self._listeners, ()
        for listener in listeners:
            listener(self.end)
