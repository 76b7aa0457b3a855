"""Service invocation under a resiliency policy: the answer is sent from within the last attempt."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from daprflow.protocol import faults
from daprflow.protocol.fault import Fault
from daprflow.protocol.http import StreamedRequest, StreamedResponse
from daprflow.sidecar.blocks.replayed_body import ReplayedBody
from daprflow.sidecar.channel.base import AppUnreachable
from daprflow.sidecar.http_api.call import ClientGone
from daprflow.sidecar.resiliency.breaker import Refused
from daprflow.sidecar.resiliency.deadline import TimedOut
from daprflow.sidecar.resiliency.policy import (
    LastingFailure,
    Policy,
    StatusFailure,
    StoppedRetrying,
)

if TYPE_CHECKING:
    from daprflow.sidecar.blocks.invocation import InvocationBlock
    from daprflow.sidecar.http_api.call import Answer

_OK, _BAD_REQUEST = 200, 400


@dataclass(frozen=True, slots=True)
class Ways:
    """What an attempt does with an answer of the app, and what it must know of the caller.

    Attributes:
        stream: sends an answer piece by piece; the call is over then.
        collect: reads an answer to its end.
        failure: what went wrong with the caller's body, if anything did.
        gone: ends when the caller has gone away.
    """

    stream: Callable[[StreamedResponse], Awaitable[None]]
    collect: Callable[[StreamedResponse], Awaitable["Answer"]]
    failure: Callable[[], Exception | None]
    gone: Callable[[], Coroutine[None, None, None]]


class _Answered(StatusFailure):
    """The app answered with an error; it is the caller's answer where no better one follows."""

    def __init__(self, status: int, answer: "Answer") -> None:
        super().__init__(status)
        self.answer = answer


class GuardedCall:
    """One invocation with the attempts that a policy allows.

    A call whose length is unknown is never made again: its body is not kept, and its answer is
    passed on whatever it is; a failure still counts for the breaker.
    """

    def __init__(
        self, block: "InvocationBlock", app_id: str, request: StreamedRequest, ways: Ways
    ) -> None:
        self._block = block
        self._app_id = app_id
        self._request = request
        self._ways = ways
        self._streaming = request.length is None
        self._body = ReplayedBody(request.chunks)
        self._answering = False
        self._tried = False
        self._task: asyncio.Task[object] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._left = False

    async def run(self, policy: Policy) -> "Answer | None":
        """Make the call.

        Returns:
            an answer to send; None when everything has been sent already.

        Raises:
            Fault: no attempt brought an answer, or the breaker is open.
            ClientGone: the caller went away before the last attempt.
        """
        if self._streaming:
            policy = replace(policy, retry=None)
        self._task = asyncio.current_task()
        try:
            await policy.run(self._attempt)
        except asyncio.CancelledError:
            if self._task is not None and self._left:
                self._task.uncancel()
                raise ClientGone from None
            raise
        except _Answered as answered:
            return answered.answer
        except (LastingFailure, StoppedRetrying) as ended:
            return self._concluded(ended.__cause__ or ended)
        except Exception as error:  # noqa: BLE001 - what it is decides
            return self._concluded(error)
        finally:
            self._unwatch()
        return None

    def _concluded(self, error: BaseException) -> "Answer | None":
        """Return what the last failure means for the caller."""
        if self._answering:
            return None
        if isinstance(error, _Answered):
            return error.answer
        if isinstance(error, Refused | TimedOut):
            raise faults.direct_invoke(self._app_id, str(error)) from error
        raise error

    async def _attempt(self) -> None:
        self._unwatch()
        if self._answering or (self._tried and not self._body.complete):
            raise LastingFailure("the call cannot be made again")
        self._tried = True
        try:
            await self._make()
        finally:
            if not self._answering:
                self._watch_caller()

    async def _make(self) -> None:
        request = self._request
        if not self._streaming:
            request = replace(request, chunks=self._body.again())
        try:
            response = await self._block.invoke(self._app_id, request)
        except Fault as fault:
            failure = self._ways.failure()
            if failure is not None or self._streaming:
                raise LastingFailure(str(fault)) from (failure or fault)
            raise
        if response.final or _OK <= response.status < _BAD_REQUEST:
            self._answering = True
            await self._ways.stream(response)
        elif self._streaming:
            self._answering = True
            await self._ways.stream(response)
            raise LastingFailure(f"the app answered {response.status}")
        else:
            await self._refuse(response)

    async def _refuse(self, response: StreamedResponse) -> None:
        try:
            answer = await self._ways.collect(response)
        except AppUnreachable as error:
            raise faults.direct_invoke(self._app_id, str(error)) from error
        finally:
            await response.close()
        raise _Answered(response.status, answer)

    # ---- between attempts -----------------------------------------------------------------------

    def _watch_caller(self) -> None:
        """End the pauses of a caller that goes away: nobody waits for an answer then."""
        self._watch = asyncio.get_running_loop().create_task(self._ways.gone())
        self._watch.add_done_callback(self._left_alone)

    def _unwatch(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def _left_alone(self, watch: asyncio.Task[None]) -> None:
        if not watch.cancelled() and self._watch is watch and self._task is not None:
            self._left = True
            self._task.cancel()
