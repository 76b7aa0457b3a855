"""An app that speaks gRPC."""

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING

from daprflow.protocol import messages
from daprflow.protocol.configuration import PREFIX
from daprflow.protocol.documents import AppConfig, Subscription
from daprflow.protocol.grpc_codes import Code
from daprflow.protocol.http import JSON, StreamedRequest, StreamedResponse
from daprflow.protocol.job_messages import data_of
from daprflow.sidecar.app import grpc_invoke
from daprflow.sidecar.app.base import BINDING_TIMEOUT, BindingReply, InputAddress, NotTaken
from daprflow.sidecar.app.grpc_documents import read_subscriptions
from daprflow.sidecar.app.grpc_postman import GrpcPostman
from daprflow.sidecar.app.postman import NO_TRACE, Postman
from daprflow.sidecar.channel.base import AppUnreachable
from daprflow.sidecar.channel.grpc import ALPHA_CALLBACKS, CALLBACKS, GrpcChannel
from daprflow.sidecar.channel.rpc import Metadata, RpcFailed
from daprflow.sidecar.clock import Clock
from daprflow.sidecar.components.base import BindingMessage
from daprflow.sidecar.job_scheduler import Outcome
from daprflow.sidecar.job_store import StoredJob
from daprflow.sidecar.pipeline import Pipeline
from daprflow.sidecar.resiliency.backoff import Backoff

if TYPE_CHECKING:
    from daprflow.sidecar.telemetry.app_watch import AppWatch
    from daprflow.sidecar.telemetry.trace_context import TraceContext

logger = logging.getLogger(__name__)

_UNTRACED = (("traceparent", NO_TRACE),)


class GrpcApp:
    """Asks by the callbacks of ``dapr.proto.runtime.v1.AppCallback``.

    Args:
        channel: the way to the app.
    """

    http = None

    def __init__(self, channel: GrpcChannel) -> None:
        self._channel = channel
        self._watch: AppWatch | None = None

    @property
    def grpc(self) -> GrpcChannel:
        """The way to the app."""
        return self._channel

    def use_pipeline(self, pipeline: Pipeline) -> None:
        """Do nothing: middleware stands before HTTP apps alone, as in the real runtime."""

    def watch(self, watch: "AppWatch") -> None:
        """Have deliveries and calls watched from now on."""
        self._watch = watch
        self._channel.watch(watch)

    # ---- start ----------------------------------------------------------------------------------

    async def probe(self) -> bool:
        """Tell whether the app accepts a connection now."""
        return await self._channel.probe()

    async def healthy(self, path: str) -> bool:
        """Tell whether ``HealthCheck`` succeeds; any error, an app without it too, counts."""
        del path
        try:
            await self._channel.check()
        except (RpcFailed, AppUnreachable):
            return False
        return True

    async def config(self, app_id: str) -> AppConfig:
        """Return an empty configuration: such an app tells of its actors on a stream of its own."""
        del app_id
        return AppConfig()

    async def subscriptions(
        self, app_id: str, clock: Clock, backoff: Backoff
    ) -> tuple[Subscription, ...] | None:
        """Ask ``ListTopicSubscriptions``."""
        return await read_subscriptions(self._channel, app_id, clock, backoff)

    # ---- events ---------------------------------------------------------------------------------

    def postman(self, pubsub: str, topic: str, *, raw: bool) -> Postman:
        """Return what delivers the events of one subscription."""
        postman = GrpcPostman(self._channel, pubsub, topic, raw=raw)
        return postman if self._watch is None else self._watch.postman(postman, pubsub, topic)

    async def takes_binding(self, binding: InputAddress) -> bool:
        """Look for the binding in ``ListInputBindings``; an error means no."""
        rpc = f"{CALLBACKS}ListInputBindings"
        answer = messages.ListInputBindingsResponse
        try:
            async with asyncio.timeout(BINDING_TIMEOUT):
                listed = await self._channel.call(rpc, messages.Empty(), answer)
        except (RpcFailed, AppUnreachable, TimeoutError) as error:
            logger.warning(
                "binding '%s' is not started: the app did not answer ListInputBindings (%s)",
                binding.name,
                str(error) or type(error).__name__,
            )
            return False
        if binding.name in listed.bindings:
            return True
        logger.info("binding '%s' is not started: the app does not list it", binding.name)
        return False

    async def binding_event(self, binding: InputAddress, message: BindingMessage) -> BindingReply:
        """Call ``OnBindingEvent``; of the answer ``to``, ``concurrency`` and ``data`` count.

        Raises:
            AppUnreachable: no answer came.
        """
        rpc = f"{CALLBACKS}OnBindingEvent"
        if self._watch is None:
            return await self._tell_binding(rpc, binding, message, None)
        tell = partial(self._tell_binding, rpc, binding, message)
        return await self._watch.binding(binding.name, rpc, message.metadata, tell)

    async def _tell_binding(
        self,
        rpc: str,
        binding: InputAddress,
        message: BindingMessage,
        within: "TraceContext | None",
    ) -> BindingReply:
        event = messages.BindingEventRequest(
            name=binding.name, data=message.data, metadata=message.metadata
        )
        metadata: Metadata = _UNTRACED
        if within is not None:
            metadata = (("traceparent", within.traceparent),)
        try:
            answer = await self._channel.call(rpc, event, messages.BindingEventResponse, metadata)
        except RpcFailed as failed:
            reason = f"the app answered OnBindingEvent with {failed}"
            return BindingReply(failed.code, taken=False, settled=False, reason=reason)
        return BindingReply(
            Code.OK,
            taken=True,
            settled=True,
            data=answer.data,
            to=tuple(answer.to),
            parallel=answer.concurrency == messages.BindingEventResponse.PARALLEL,
        )

    async def job(self, job: StoredJob) -> Outcome:
        """Call ``OnJobEvent``, of older apps ``OnJobEventAlpha1``; NOT_FOUND is final.

        Raises:
            AppUnreachable: no answer came.
        """
        event, answer = _job_event(job), messages.JobEventResponse
        try:
            try:
                await self._channel.call(f"{CALLBACKS}OnJobEvent", event, answer)
            except RpcFailed as failed:
                if failed.code != Code.UNIMPLEMENTED:
                    raise
                await self._channel.call(f"{ALPHA_CALLBACKS}OnJobEventAlpha1", event, answer)
        except RpcFailed as failed:
            if failed.code == Code.NOT_FOUND:
                logger.error("job '%s': the app has no handler for it (NOT_FOUND)", job.name)  # noqa: TRY400 - the text says all
                return Outcome.DONE
            logger.warning("job '%s': the app answered with %s", job.name, failed)
            return Outcome.FAILED
        return Outcome.DONE

    async def configuration_update(self, store: str, key: str, update: bytes) -> None:
        """Call the method that an HTTP app has for it; the real runtime takes no answer for a yes.

        Raises:
            NotTaken: always, where the app can be reached: it expects the HTTP status 200.
            AppUnreachable: no answer came.
        """
        request = messages.InvokeRequest(
            method=f"{PREFIX}{store}/{key}",
            data=messages.AnyMessage(value=update),
            content_type=JSON,
            http_extension=messages.HTTPExtension(verb=messages.HTTPExtension.POST),
        )
        try:
            await self._channel.call(f"{CALLBACKS}OnInvoke", request, messages.InvokeResponse)
        except RpcFailed as failed:
            raise NotTaken(f"the app answered OnInvoke with {failed}") from failed
        raise NotTaken(
            "an app that speaks gRPC cannot confirm a change, use the stream SubscribeConfiguration"
        )

    # ---- calls ----------------------------------------------------------------------------------

    async def invoke(self, request: StreamedRequest) -> StreamedResponse:
        """Call ``OnInvoke``."""
        return await grpc_invoke.invoke_over_http(self._channel, request)

    async def close(self) -> None:
        """Give back the connection; calls under way fail."""
        await self._channel.close()


def _job_event(job: StoredJob) -> messages.JobEventRequest:
    event = messages.JobEventRequest(
        name=job.name,
        method=f"job/{job.name}",
        http_extension=messages.HTTPExtension(verb=messages.HTTPExtension.POST),
    )
    data = data_of(job.job)
    if data is not None:
        event.data.CopyFrom(data)
        event.content_type = data.type_url
    return event
