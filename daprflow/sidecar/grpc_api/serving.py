"""Handlers of methods as the library calls them: faults become statuses, streams end for sure."""

import asyncio
import logging
from contextlib import aclosing
from operator import methodcaller
from typing import TYPE_CHECKING, Any, cast

import grpc

from daprflow.protocol import messages
from daprflow.protocol.fault import Fault
from daprflow.protocol.grpc_codes import Code
from daprflow.sidecar.grpc_api.call import BothStream, GrpcCall, Method, ServerStream, Shape, Unary
from daprflow.sidecar.grpc_api.status import STATUS_CODES, Failure, failure_of, internal
from daprflow.sidecar.resiliency.caller import waiting

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, MutableMapping

    from daprflow.sidecar.runtime import Runtime

logger = logging.getLogger(__name__)

Context = Any  # the library's own class; its stubs make it generic where the code is not
_serialize = methodcaller("SerializeToString")


def rpc_handler(name: str, method: Method, runtime: "Runtime") -> Any:
    """Return what the library calls for a method."""
    # Messages are read here and not in the library, which has its own words for broken ones.
    read = method.request.FromString
    if method.shape is Shape.UNARY:
        served = Served(name, method, runtime)
        return grpc.unary_unary_rpc_method_handler(served.answer, None, _serialize)
    if method.shape is Shape.SERVER_STREAM:
        stream = ServedStream(name, runtime)
        start = cast("ServerStream", method.handler)

        async def server_stream(raw: bytes, context: Context) -> None:
            call = GrpcCall(runtime, context)
            await call.send_headers()
            try:
                request = read(raw)
            except messages.DecodeError as error:
                await abort(context, _unreadable("error unmarshalling request", error))
                return
            await stream.run(start(call, request), context)

        return grpc.unary_stream_rpc_method_handler(server_stream, None, _serialize)
    both = ServedStream(name, runtime)
    begin = cast("BothStream", method.handler)

    async def both_stream(pieces: "AsyncIterator[bytes]", context: Context) -> None:
        call = GrpcCall(runtime, context)
        await call.send_headers()
        requests = _messages(pieces, read, context)
        await both.run(begin(call, requests), context)

    return grpc.stream_stream_rpc_method_handler(both_stream, None, _serialize)


class Served:
    """A method with one message each way."""

    def __init__(self, name: str, method: Method, runtime: "Runtime") -> None:
        self._name = name
        self._read = method.request.FromString
        self._handler = cast("Unary", method.handler)
        self._runtime = runtime
        self._whole = method.whole
        self._headers = method.headers
        self._unfinished: set[asyncio.Task[Any]] = set()

    async def answer(self, raw: bytes, context: Context) -> Any:
        """Answer a call."""
        calls = self._runtime.calls  # a reload waits for those that were under way before it
        calls.begin()
        try:
            call = GrpcCall(self._runtime, context)
            if not self._headers:
                await call.send_headers()
            request = self._read(raw)
            if self._whole:
                return await self._finish(request, call)
            return await self._handler(call, request)
        except Fault as fault:
            self._runtime.telemetry.failed(fault.code)
            return await abort(context, failure_of(fault))
        except messages.DecodeError as error:
            return await abort(context, _unreadable("error unmarshalling request", error))
        except grpc.aio.AbortError:
            raise
        except grpc.aio.InternalError:
            raise client_left() from None
        except Exception:
            logger.exception("the gRPC API failed on %s", self._name)
            return await abort(context, internal())
        finally:
            calls.end()

    async def _finish(self, request: Any, call: GrpcCall) -> Any:
        """Answer a call that goes on to its end; pauses between attempts end with the client."""
        gone = asyncio.Event()
        work = self._work(request, call, gone)
        task = asyncio.get_running_loop().create_task(work)
        self._unfinished.add(task)
        task.add_done_callback(self._unfinished.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            gone.set()
            task.add_done_callback(_noted)
            raise

    async def _work(self, request: Any, call: GrpcCall, gone: asyncio.Event) -> Any:
        if not self._runtime.resiliency.names:
            return await self._handler(call, request)

        async def receive() -> "MutableMapping[str, Any]":
            await gone.wait()
            return {"type": "http.disconnect"}

        with waiting(receive):
            return await self._handler(call, request)


class ServedStream:
    """A method whose answers are many."""

    def __init__(self, name: str, runtime: "Runtime") -> None:
        self._name = name
        self._runtime = runtime

    async def run(self, answers: "AsyncIterator[Any]", context: Context) -> None:
        """Send the answers as they come; whatever ends the call ends their maker, too."""
        try:
            async with aclosing(cast("AsyncGenerator[Any, None]", answers)) as made:
                async for answer in made:
                    await context.write(answer)
        except Fault as fault:
            self._runtime.telemetry.failed(fault.code)
            await abort(context, failure_of(fault))
        except grpc.aio.AbortError:
            raise
        except grpc.aio.InternalError:
            raise client_left() from None
        except Exception:
            if context.cancelled():
                return
            logger.exception("the gRPC API failed on %s", self._name)
            await abort(context, internal())


async def abort(context: Context, failed: Failure) -> None:
    """End a call with a failure."""
    try:
        await context.abort(failed.code, failed.text, failed.trailers)
    except grpc.aio.InternalError:
        raise client_left() from None


def client_left() -> asyncio.CancelledError:
    """Return what ends a call when the library could not send: it knows, but not yet, why."""
    return asyncio.CancelledError("the client left")


async def _messages(
    pieces: "AsyncIterator[bytes]", read: "Callable[[bytes], Any]", context: Context
) -> "AsyncIterator[Any]":
    """Yield what a client sends; a broken message ends the call."""
    async for piece in pieces:
        try:
            message = read(piece)
        except messages.DecodeError as error:
            await abort(context, _unreadable("failed to unmarshal the received message", error))
            return
        yield message


def _unreadable(doing: str, error: messages.DecodeError) -> Failure:
    """Return how a call ends whose message is none, in the words of the real runtime's library."""
    text = "proto: cannot parse invalid wire-format data"
    if "UTF-8" in str(error):
        text = "string field contains invalid UTF-8"
    return Failure(STATUS_CODES[Code.INTERNAL], f"grpc: {doing}: {text}")


def _noted(task: asyncio.Task[Any]) -> None:
    """Take the result of a call nobody waits for any more."""
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.info("a call whose client left failed: %s", error)
