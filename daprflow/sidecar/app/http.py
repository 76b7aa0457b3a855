"""An app that speaks HTTP."""

import asyncio
import logging
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec

from daprflow.protocol.configuration import PREFIX
from daprflow.protocol.documents import AppConfig, Subscription
from daprflow.protocol.http import (
    JSON,
    Headers,
    HttpRequest,
    StreamedRequest,
    StreamedResponse,
)
from daprflow.protocol.jobs import VALUE_TYPE, JobRequest
from daprflow.sidecar.app.base import BINDING_TIMEOUT, BindingReply, InputAddress, NotTaken
from daprflow.sidecar.app.http_documents import read_config, read_subscriptions
from daprflow.sidecar.app.http_postman import HttpPostman
from daprflow.sidecar.app.postman import NO_TRACE, Postman
from daprflow.sidecar.channel.base import AppChannel, AppUnreachable
from daprflow.sidecar.channel.piped import PipedChannel
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

_OF_A_TRACE = frozenset({"traceparent", "tracestate", "grpc-trace-bin"})
_PLAIN: Headers = (("content-type", JSON),)
_SAFE = "/%?=&$+,:;@-_.~"
_SAFE_IN_NAME = "%&=+$,:;@-_.~"
_OK, _NOT_FOUND, _METHOD_NOT_ALLOWED = 200, 404, 405


class HttpApp:
    """Asks by HTTP calls of a channel.

    Args:
        channel: the way to the app.
    """

    grpc = None

    def __init__(self, channel: AppChannel) -> None:
        self._bare = channel
        self._channel = channel
        self._watch: AppWatch | None = None

    @property
    def http(self) -> AppChannel:
        """The way to the app, through its pipeline."""
        return self._channel

    def use_pipeline(self, pipeline: Pipeline) -> None:
        """Put middleware around every call but health checks."""
        if isinstance(self._channel, PipedChannel):
            self._channel.use(pipeline)
        else:
            self._channel = PipedChannel(self._bare, pipeline)

    def watch(self, watch: "AppWatch") -> None:
        """Have deliveries and calls watched from now on."""
        self._watch = watch
        self._bare = self._channel = watch.channel(self._bare)

    # ---- start ----------------------------------------------------------------------------------

    async def probe(self) -> bool:
        """Tell whether the app accepts a connection now."""
        return await self._bare.probe()

    async def healthy(self, path: str) -> bool:
        """Tell whether the app answers ``GET path`` with 2xx."""
        try:
            response = await self._bare.check(HttpRequest("GET", path))
        except AppUnreachable:
            return False
        return _is_success(response.status)

    async def config(self, app_id: str) -> AppConfig:
        """Fetch ``/dapr/config``."""
        return await read_config(self._channel, app_id)

    async def subscriptions(
        self, app_id: str, clock: Clock, backoff: Backoff
    ) -> tuple[Subscription, ...] | None:
        """Fetch ``/dapr/subscribe``."""
        return await read_subscriptions(self._channel, app_id, clock, backoff)

    # ---- events ---------------------------------------------------------------------------------

    def postman(self, pubsub: str, topic: str, *, raw: bool) -> Postman:
        """Return what posts the events of one subscription."""
        postman = HttpPostman(self._channel, pubsub, topic, raw=raw)
        return postman if self._watch is None else self._watch.postman(postman, pubsub, topic)

    async def takes_binding(self, binding: InputAddress) -> bool:
        """Ask with ``OPTIONS``; any 2xx means yes, and 405 as well."""
        request = HttpRequest("OPTIONS", binding.path, _PLAIN)
        try:
            async with asyncio.timeout(BINDING_TIMEOUT):
                answer = await self._channel.send(request)
        except (AppUnreachable, TimeoutError) as error:
            logger.warning(
                "binding '%s' is not started: the app did not answer OPTIONS %s (%s)",
                binding.name,
                binding.path,
                str(error) or type(error).__name__,
            )
            return False
        if _is_success(answer.status) or answer.status == _METHOD_NOT_ALLOWED:
            return True
        logger.info("binding '%s' is not started: the app has no handler for it", binding.name)
        return False

    async def binding_event(self, binding: InputAddress, message: BindingMessage) -> BindingReply:
        """Post one event; any 2xx acknowledges it, but only 200 contents a retry policy.

        Raises:
            AppUnreachable: no answer came.
        """
        if self._watch is None:
            return await self._post_binding(binding, message, None)
        post = partial(self._post_binding, binding, message)
        address = f"POST {binding.path}"
        return await self._watch.binding(binding.name, address, message.metadata, post)

    async def _post_binding(
        self, binding: InputAddress, message: BindingMessage, within: "TraceContext | None"
    ) -> BindingReply:
        headers = _binding_headers(message.metadata, within)
        request = HttpRequest("POST", binding.path, headers, message.data)
        status = (await self._channel.send(request)).status
        reason = f"the app answered POST {binding.path} with status {status}"
        return BindingReply(status, _is_success(status), status == _OK, reason)

    async def job(self, job: StoredJob) -> Outcome:
        """Post one tick; any 2xx is a success, and 404 is final.

        Raises:
            AppUnreachable: no answer came.
        """
        body = _job_body(job.job)
        path = f"/job/{quote(job.name, safe=_SAFE_IN_NAME)}"
        status = (await self._channel.send(HttpRequest("POST", path, _PLAIN, body))).status
        if status == _NOT_FOUND:
            logger.error("job '%s': the app has no handler for it (404)", job.name)
            return Outcome.DONE
        if _is_success(status):
            return Outcome.DONE
        logger.warning("job '%s': the app answered %d", job.name, status)
        return Outcome.FAILED

    async def configuration_update(self, store: str, key: str, update: bytes) -> None:
        """Post a changed item; exactly 200 is a success.

        Raises:
            NotTaken: the app answered otherwise.
            AppUnreachable: no answer came.
        """
        path = quote(f"{PREFIX}{store}/{key}", safe=_SAFE)
        answer = await self._channel.send(HttpRequest("POST", path, _PLAIN, update))
        if answer.status != _OK:
            raise NotTaken(f"the app answered POST {path} with status {answer.status}")

    # ---- calls ----------------------------------------------------------------------------------

    async def invoke(self, request: StreamedRequest) -> StreamedResponse:
        """Carry a call of service invocation.

        Raises:
            AppUnreachable: no answer came.
        """
        return await self._channel.stream(request)

    async def close(self) -> None:
        """Give back every connection."""
        await self._bare.close()


def _job_body(job: JobRequest) -> bytes:
    """Return what is posted of a job's data: JSON, or the bare bytes of what is none."""
    if job.packed is not None:
        return b"" if job.packed.type == VALUE_TYPE else job.packed.value.strip()
    return b"" if job.data is msgspec.UNSET else bytes(job.data)


def _binding_headers(metadata: Mapping[str, str], within: "TraceContext | None") -> Headers:
    own = tuple((name.lower(), value) for name, value in metadata.items())
    if within is not None:
        parent = ("traceparent", within.traceparent)
        return (*_PLAIN, parent, *(pair for pair in own if pair[0] not in _OF_A_TRACE))
    return (*_PLAIN, ("traceparent", NO_TRACE), *own)


def _is_success(status: int) -> bool:
    return 200 <= status < 300  # noqa: PLR2004 - the 2xx
