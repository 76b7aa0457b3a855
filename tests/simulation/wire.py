"""What stands where gRPC would: a channel whose messages travel as the world lets them."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import grpc

from daprflow.transports.grpc import EOF, AioRpcError


def refusal(code: grpc.StatusCode, text: str) -> AioRpcError:
    """Return the error of a call."""
    return AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), text)


def lost() -> AioRpcError:
    """Return the error of a call whose connection broke."""
    return refusal(grpc.StatusCode.UNAVAILABLE, "the connection broke")


class Answering(Protocol):
    """The end of a call that asked."""

    def answer(self, data: bytes) -> None:
        """Take the answer."""
        ...

    def fail(self, error: AioRpcError) -> None:
        """Take that there is none."""
        ...


class Carrier(Protocol):
    """Carries messages to the sidecar of an app."""

    def ask(self, app: str, method: str, data: bytes, caller: Answering) -> None:
        """Carry a request of a single call."""
        ...

    def listen(self, app: str, data: bytes, stream: "StreamCall") -> None:
        """Carry a request for a stream."""
        ...

    def hang_up(self, stream: "StreamCall") -> None:
        """Carry that a stream is cancelled."""
        ...

    def reaches(self) -> bool:
        """Tell whether there is a sidecar to carry anything to."""
        ...


class Answer(asyncio.Future[Any]):
    """What a single call gives, as gRPC has it: to be awaited, and without metadata here."""

    async def initial_metadata(self) -> tuple[tuple[str, str], ...]:
        """Return what came before the answer: histories travel whole in the simulation."""
        return ()


class UnaryCall:
    """One single call that waits for its answer."""

    def __init__(self, read: Callable[[bytes], Any]) -> None:
        self._read = read
        self.future = Answer(loop=asyncio.get_running_loop())

    def answer(self, data: bytes) -> None:
        """Take the answer; nobody may wait any more."""
        if not self.future.done():
            self.future.set_result(self._read(data))

    def fail(self, error: AioRpcError) -> None:
        """Take that there is none."""
        if not self.future.done():
            self.future.set_exception(error)


class StreamCall:
    """The worker's end of a stream.

    Attributes:
        owner: whose it is.
    """

    owner: object = None

    def __init__(self, carrier: Carrier, read: Callable[[bytes], Any]) -> None:
        self._carrier = carrier
        self._read = read
        self._items: deque[Any] = deque()
        self._reader: asyncio.Future[None] | None = None
        self._error: AioRpcError | None = None
        self._cancelled = False

    def cancel(self) -> bool:
        """End it from here."""
        if self._cancelled or self._error is not None:
            return False
        self._cancelled = True
        self._carrier.hang_up(self)
        self._wake()
        return True

    def cancelled(self) -> bool:
        """Tell whether it was ended from here."""
        return self._cancelled

    async def read(self) -> Any:
        """Return the next item, as gRPC does."""
        while not self._items:
            if self._error is not None:
                raise self._error
            if self._cancelled:
                raise asyncio.CancelledError
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        return self._items.popleft()

    def arrive(self, data: bytes) -> None:
        """Take an item that has travelled."""
        self._items.append(self._read(data))
        self._wake()

    def end(self) -> None:
        """Take that the sidecar ended it."""
        self._items.append(EOF)
        self._wake()

    def fail(self, error: AioRpcError) -> None:
        """Take that it broke."""
        self._error = error
        self._items.clear()
        self._wake()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)


class Channel:
    """What a worker takes for a channel to its sidecar."""

    def __init__(self, carrier: Carrier, app: str) -> None:
        self._carrier = carrier
        self._app = app

    def get_state(self) -> grpc.ChannelConnectivity:
        """Return how the connection is, as gRPC has it."""
        states = grpc.ChannelConnectivity
        return states.READY if self._carrier.reaches() else states.TRANSIENT_FAILURE

    def unary_unary(
        self, path: str, request_serializer: Any, response_deserializer: Any
    ) -> Callable[..., asyncio.Future[Any]]:
        """Return what makes single calls."""
        method = path.rpartition("/")[2]

        def call(request: Any, **_: object) -> asyncio.Future[Any]:
            caller = UnaryCall(response_deserializer)
            self._carrier.ask(self._app, method, request_serializer(request), caller)
            return caller.future

        return call

    def unary_stream(
        self, path: str, request_serializer: Any, response_deserializer: Any
    ) -> Callable[..., StreamCall]:
        """Return what opens streams."""

        def call(request: Any, **_: object) -> StreamCall:
            stream = StreamCall(self._carrier, response_deserializer)
            self._carrier.listen(self._app, request_serializer(request), stream)
            return stream

        return call


class Channels:
    """What a worker asks for its channel."""

    token = ""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def to_work(self) -> Any:
        """Return it."""
        return self._channel
