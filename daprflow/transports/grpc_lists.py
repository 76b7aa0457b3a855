"""What a sidecar lists over gRPC alone: jobs and reminders.

Import it as `daprflow.transports.grpc` is imported: it needs the library and Dapr's messages.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from daprflow.protocol import messages
from daprflow.settings import Settings
from daprflow.transports.grpc import AioRpcError, Channel, open_channel
from daprflow.transports.grpc_endpoint import parse
from daprflow.transports.grpc_errors import refused

_SERVICE = "/dapr.proto.runtime.v1.Dapr/"


class Lists:
    """The calls, on one channel; none is repeated."""

    def __init__(self, channel: Channel, token: str, seconds: float) -> None:
        self._channel = channel
        self._token = token
        self._seconds = seconds

    async def jobs(self) -> Sequence[messages.Job]:
        """Return the jobs of the app; by the alpha call, which older runtimes have as well.

        Raises:
            CallRefused: the sidecar refused, or did not answer in time.
        """
        asked = messages.ListJobsRequestAlpha1()
        answer = await self._call("ListJobsAlpha1", asked, messages.ListJobsResponseAlpha1)
        return list(answer.jobs)

    async def reminders(
        self, kind: str, actor_id: str = ""
    ) -> Sequence[messages.NamedActorReminder]:
        """Return the reminders of one actor, of all of its type where ``actor_id`` is empty.

        Raises:
            CallRefused: the sidecar refused, or did not answer in time.
        """
        asked = messages.ListActorRemindersRequest(actor_type=kind, actor_id=actor_id or None)
        answer = await self._call("ListActorReminders", asked, messages.ListActorRemindersResponse)
        return list(answer.reminders)

    async def _call(self, method: str, request: Any, answer: Any) -> Any:
        call = self._channel.unary_unary(
            _SERVICE + method,
            request_serializer=type(request).SerializeToString,
            response_deserializer=answer.FromString,
        )
        metadata = (("dapr-api-token", self._token),) if self._token else ()
        try:
            return await call(request, metadata=metadata, timeout=self._seconds)
        except AioRpcError as error:
            raise refused(error) from None


@asynccontextmanager
async def lists(settings: Settings, seconds: float) -> AsyncIterator[Lists]:
    """Open a channel to the sidecar of ``settings`` for some calls.

    Args:
        settings: where it is, and its token.
        seconds: how long each call may take.
    """
    channel = open_channel(parse(settings.grpc_endpoint), settings)
    try:
        yield Lists(channel, settings.api_token, seconds)
    finally:
        await channel.close()
