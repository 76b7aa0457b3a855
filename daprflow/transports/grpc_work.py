"""Dapr's task hub over gRPC: the stream of work that a worker takes, and every single call.

Import it as `daprflow.transports.grpc` is imported: it needs the library and Dapr's messages.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from daprflow.handlers import trace
from daprflow.protocol import history_pages
from daprflow.protocol import workflow_messages as pb
from daprflow.protocol.http import Headers
from daprflow.transports.events import CallRefused, StreamLost
from daprflow.transports.grpc import EOF, AioRpcError, Channel, is_connected
from daprflow.transports.grpc_errors import refused

M = TypeVar("M")

_SERVICE = "/TaskHubSidecarService/"
_BEGAN_ANEW = 409
COMPLETING = 30.0
"""Seconds that a sidecar may take to take an answer, and to give a history."""


@dataclass(frozen=True, slots=True)
class TaskHub:
    """The task hub of one sidecar.

    Attributes:
        token: the sidecar's API token; empty where it has none.
    """

    channel: Channel
    token: str
    _methods: dict[str, Any] = field(default_factory=dict)

    async def call(
        self,
        method: str,
        request: Any,
        answer: type[M],
        timeout: float | None,  # noqa: ASYNC109 - it goes with the call
        *,
        traced: bool = True,
        headers: Headers = (),
    ) -> M:
        """Make a single call.

        Args:
            method: its name.
            request: what is sent.
            answer: the type of what comes back.
            timeout: seconds; None for no limit.
            traced: whether the trace of what is handled goes along.
            headers: what goes along, too.

        Raises:
            CallRefused: it was refused, or not answered in time.
        """
        metadata = [*self._metadata, *headers]
        if traced:
            metadata += trace.missing(headers)
        try:
            answered: M = await self._send(method, request, answer)(
                request, timeout=timeout, metadata=metadata
            )
        except AioRpcError as error:
            raise refused(error) from None
        return answered

    @property
    def connected(self) -> bool:
        """Whether the connection to the sidecar is there."""
        return is_connected(self.channel)

    @property
    def _metadata(self) -> list[tuple[str, str]]:
        return [("dapr-api-token", self.token)] if self.token else []

    def _send(self, method: str, request: Any, answer: type[Any]) -> Any:
        send = self._methods.get(method)
        if send is None:
            kind: Any = answer
            send = self._methods[method] = self.channel.unary_unary(
                _SERVICE + method,
                request_serializer=type(request).SerializeToString,
                response_deserializer=kind.FromString,
            )
        return send

    async def hello(self) -> None:
        """Return when the hub answers.

        Raises:
            CallRefused: it does not.
        """
        await self.call("Hello", pb.Empty(), pb.Empty, COMPLETING)

    async def history(
        self,
        instance: str,
        timeout: float | None = COMPLETING,  # noqa: ASYNC109 - it goes with the calls
        headers: Headers = (),
    ) -> Sequence[Any]:
        """Return the committed history of an instance, however long it is.

        Our sidecar gives it in pages; a real runtime gives it as a whole, if a message can hold it.

        Args:
            instance: its id.
            timeout: seconds for each page; None for no limit.
            headers: what goes along.

        Raises:
            CallRefused: there is none, or it cannot be read.
        """
        events: list[Any] = []
        at = ""
        while True:
            try:
                page, at = await self._page(instance, at, timeout, headers)
            except CallRefused as refusal:
                if not at or refusal.status != _BEGAN_ANEW:
                    raise
                events, at = [], ""
                continue
            events += page
            if not at:
                return events

    async def _page(
        self,
        instance: str,
        at: str,
        timeout: float | None,  # noqa: ASYNC109 - likewise
        headers: Headers,
    ) -> tuple[Sequence[Any], str]:
        """Return a part of a history, and where the next one begins."""
        request = pb.GetInstanceHistoryRequest(instanceId=instance)
        send = self._send("GetInstanceHistory", request, pb.GetInstanceHistoryResponse)
        metadata = [*self._metadata, *headers, (history_pages.AT, at)]
        call = send(request, timeout=timeout, metadata=metadata)
        try:
            answer = await call
            headers = await call.initial_metadata()
        except AioRpcError as error:
            raise refused(error) from None
        following = [value for name, value in headers if name == history_pages.NEXT]
        return answer.events, following[0] if following else ""

    async def complete_workflow(self, response: Any) -> None:
        """Answer a turn of a workflow.

        Raises:
            CallRefused: the answer was not taken.
        """
        await self._complete("CompleteOrchestratorTask", response)

    async def complete_activity(self, response: Any) -> None:
        """Answer an activity.

        Raises:
            CallRefused: the answer was not taken.
        """
        await self._complete("CompleteActivityTask", response)

    async def _complete(self, method: str, response: Any) -> None:
        await self.call(method, response, pb.CompleteTaskResponse, COMPLETING, traced=False)


class WorkItems:
    """One stream of work.

    Args:
        hub: where it comes from.
        stateful: whether the worker keeps workflows between their turns.
    """

    def __init__(self, hub: TaskHub, *, stateful: bool) -> None:
        capabilities = [pb.WORKER_CAPABILITY_HEALTH_PING]
        if stateful:
            capabilities.append(pb.WORKER_CAPABILITY_STATEFUL_HISTORY)
        start: Any = hub.channel.unary_stream(
            f"{_SERVICE}GetWorkItems",
            request_serializer=pb.GetWorkItemsRequest.SerializeToString,
            response_deserializer=pb.WorkItem.FromString,
        )
        metadata = [(history_pages.PAGED, "true")]
        if hub.token:
            metadata.append(("dapr-api-token", hub.token))
        self._call = start(pb.GetWorkItemsRequest(capabilities=capabilities), metadata=metadata)

    async def read(self) -> Any:
        """Return the next item.

        Raises:
            StreamLost: the sidecar ended the stream, or went away.
            CallRefused: it refused.
        """
        try:
            item = await self._call.read()
        except AioRpcError as error:
            failure: CallRefused = refused(error)
            raise StreamLost(str(failure) or error.code().name, failure) from None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not self._call.cancelled() or (task is not None and task.cancelling()):
                raise
            raise StreamLost("it was cancelled here") from None
        if item is EOF:
            raise StreamLost("the sidecar ended it")
        return item

    def cancel(self) -> bool:
        """End it; the sidecar offers what has no answer to others.

        Returns:
            whether it had not ended before.
        """
        cancelled: bool = self._call.cancel()
        return cancelled
