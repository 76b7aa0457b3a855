"""Calls of methods that are not Dapr's: they are for the app that the metadata name."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import grpc

from daprflow.protocol.grpc_codes import Code
from daprflow.sidecar.channel.base import AppUnreachable
from daprflow.sidecar.channel.grpc import pairs_of
from daprflow.sidecar.channel.rpc import Metadata
from daprflow.sidecar.channel.rpc_ending import Ending
from daprflow.sidecar.grpc_api.passage import Impassable, Passage, find_passage
from daprflow.sidecar.grpc_api.proxied_messages import NotReplayable, ProxiedMessages
from daprflow.sidecar.grpc_api.serving import abort, client_left
from daprflow.sidecar.grpc_api.status import STATUS_CODES, Failure
from daprflow.sidecar.resiliency.breaker import Refused
from daprflow.sidecar.resiliency.deadline import TimedOut
from daprflow.sidecar.resiliency.policy import (
    LastingFailure,
    Policy,
    StatusFailure,
    StoppedRetrying,
)
from daprflow.sidecar.telemetry.passage import STREAMING, UNARY

if TYPE_CHECKING:
    from daprflow.sidecar.runtime import Runtime

_STREAM = "dapr-stream"
_TRUE = frozenset({"y", "yes", "true", "t", "on", "1"})


class Proxy:
    """Passes calls on to apps, message by message, without reading them."""

    def __init__(self, runtime: "Runtime") -> None:
        self._runtime = runtime

    def handler(self, method: str, metadata: Any) -> Any:
        """Return what answers a call of a method that Dapr does not have."""
        pairs = pairs_of(metadata)

        async def pass_on(requests: Any, context: Any) -> None:
            calls = self._runtime.calls  # a reload waits for those that were under way before it
            calls.begin()
            try:
                find = partial(find_passage, self._runtime, method, pairs)
                passage = await find()
                await _Proxied(passage, find, requests, context).run(self._policy(passage))
            except Impassable as refused:
                await abort(context, refused.failure)
            except grpc.aio.InternalError:
                raise client_left() from None
            finally:
                calls.end()

        return grpc.stream_stream_rpc_method_handler(pass_on)

    def _policy(self, passage: Passage) -> Policy | None:
        resiliency = self._runtime.resiliency
        if not passage.remote or not resiliency.guards_calls:
            return None
        return resiliency.app(passage.app_id, passage.method)


class _Broken(StatusFailure):
    """The app ended a call with an error."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.code.value[0])
        self.failure = failure


class _Proxied:
    """One call on its way, with the attempts that a policy allows."""

    def __init__(
        self,
        passage: Passage,
        find: Callable[[], Awaitable[Passage]],
        requests: Any,
        context: Any,
    ) -> None:
        self._passage = passage
        self._find = find
        self._attempts = 0
        self._context = context
        self._messages = ProxiedMessages(requests)
        self._answered = False

    async def run(self, policy: Policy | None) -> None:
        """Make the call; an error of the app's is the caller's, with all that came with it."""
        try:
            await (self._carry() if policy is None else self._guarded(policy))
        except _Broken as broken:
            await abort(self._context, broken.failure)
        except (LastingFailure, StoppedRetrying) as ended:
            await abort(self._context, _failure_of(ended.__cause__ or ended))
        except (Refused, TimedOut, NotReplayable) as error:
            await abort(self._context, _failure_of(error))

    async def _guarded(self, policy: Policy) -> None:
        """Make the call under a policy; of a stream the policy is for the connection alone."""
        if self._is_stream():
            await policy.run(self._reach)
            await self._carry()
            return
        self._messages.keep_first = policy.retries
        await policy.run(self._attempt)

    def _is_stream(self) -> bool:
        given = next((value for name, value in self._passage.metadata if name == _STREAM), "")
        return isinstance(given, str) and given.lower() in _TRUE

    async def _next(self) -> None:
        """Begin an attempt; one after the first goes to whoever takes calls of the app then."""
        self._attempts += 1
        if self._attempts > 1:
            self._passage = await self._find()

    async def _reach(self) -> None:
        await self._next()
        try:
            await self._passage.channel.reach()
        except AppUnreachable as error:
            raise _Broken(_unreached(error)) from error

    async def _attempt(self) -> None:
        await self._next()
        try:
            await self._carry()
        except _Broken as broken:
            if self._messages.failed is not None:
                raise LastingFailure("not replayable") from self._messages.failed
            if self._answered:
                raise LastingFailure("part of the answer is out") from broken
            raise

    async def _carry(self) -> None:
        """Make one attempt, and tell of it on both sides."""
        passage = self._passage
        told = passage.told
        if told is None:
            await self._pass_on()
            return
        kind = STREAMING if self._is_stream() else UNARY
        span = told.begin_proxied(passage.method, passage.metadata, kind)
        code: int = Code.CANCELLED
        error: str | None = "context canceled"
        try:
            await self._pass_on()
            code, error = Code.OK, None
        except _Broken as broken:
            code, error = broken.failure.code.value[0], broken.failure.text
            raise
        finally:
            told.end_proxied(span, kind, code, error)

    async def _pass_on(self) -> None:
        """Pass on what both sides say; whoever ends it, the other side's call ends as well."""
        passage, context = self._passage, self._context
        left = context.time_remaining()
        try:
            call = await passage.channel.stream(
                passage.method, self._messages.again(), passage.metadata, left
            )
        except AppUnreachable as error:
            raise _Broken(_unreached(error)) from error
        ending = Ending(call)
        head: Metadata = ()
        try:
            head = pairs_of(await call.initial_metadata())
            async for message in call:
                await self._begin(head)
                await context.write(message)
            trailers = pairs_of(await call.trailing_metadata())
        except grpc.aio.AioRpcError as error:
            ended = await ending.of(error)
            if ended.code is not grpc.StatusCode.OK:
                raise _Broken(Failure(ended.code, ended.text, ended.trailers)) from error
            trailers = ended.trailers
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise  # the caller left
            gone = AppUnreachable("the call was ended on the way to the app")
            raise _Broken(_unreached(gone)) from self._messages.failed
        finally:
            call.cancel()
        await self._begin(head)
        context.set_trailing_metadata(trailers)

    async def _begin(self, head: Any) -> None:
        if not self._answered:
            self._answered = True
            await self._context.send_initial_metadata(head)


def _unreached(error: AppUnreachable) -> Failure:
    return Failure(STATUS_CODES[Code.UNAVAILABLE], f"connection error: {error}")


def _failure_of(error: BaseException) -> Failure:
    if isinstance(error, _Broken):
        return error.failure
    if isinstance(error, NotReplayable):
        return Failure(STATUS_CODES[Code.FAILED_PRECONDITION], str(error))
    code = Code.DEADLINE_EXCEEDED if isinstance(error, TimedOut) else Code.UNKNOWN
    return Failure(STATUS_CODES[code], str(error))
