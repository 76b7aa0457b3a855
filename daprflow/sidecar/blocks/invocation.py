"""Service invocation: from this app to itself, to other apps of the run, to plain HTTP hosts."""

import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TYPE_CHECKING

from daprflow.protocol import faults
from daprflow.protocol.http import Headers, StreamedRequest, StreamedResponse
from daprflow.sidecar.blocks.external import ExternalHosts
from daprflow.sidecar.channel.base import AppAway, AppChannel, AppUnreachable
from daprflow.sidecar.clock import sleep_until

if TYPE_CHECKING:
    from daprflow.sidecar.runtime import Runtime

logger = logging.getLogger(__name__)

RETRIES = 3
RETRY_AFTER = 1.0
_KEPT = 1024 * 1024
_NOT_FORWARDED = frozenset(
    {
        "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade",
        "http2-settings", "te", "trailer", "proxy-authorization", "proxy-authenticate",
        "host", "content-length", "destination-app-id",
        "dapr-caller-app-id", "dapr-caller-namespace", "dapr-callee-app-id",
    }
)  # fmt: skip


class InvocationBlock:
    """Carries calls from one app to others."""

    def __init__(self, runtime: "Runtime") -> None:
        self._runtime = runtime
        self._external = ExternalHosts()

    async def close(self) -> None:
        """Give back the connections to plain HTTP hosts."""
        await self._external.close()

    async def invoke(self, app_id: str, request: StreamedRequest) -> StreamedResponse:
        """Carry ``request`` to an app; its target is the method's path with the query.

        Args:
            app_id: ``app``, ``app.namespace``, or an ``http(s)://`` address.
            request: headers as the caller sent them; what may not travel is left out here.

        Raises:
            Fault: the app is unknown or could not be reached.
        """
        request = replace(request, headers=self._forwarded(request.headers))
        try:
            if app_id.startswith(("http://", "https://")):
                return await self._external.stream(app_id, request)
            if app_id == self._runtime.app_id:
                return await _channel_of(self._runtime).stream(request)
            return await self._call_other(app_id, request)
        except AppUnreachable as error:
            raise faults.direct_invoke(app_id, str(error)) from error

    async def _call_other(self, app_id: str, request: StreamedRequest) -> StreamedResponse:
        callee = self._find(app_id)
        request = replace(request, headers=(*request.headers, *self._caller(callee.app_id)))
        if request.length is None:
            return await _channel_of(callee).stream(request)
        body = _Replayed(request.chunks)
        clock = self._runtime.engine.clock
        for attempt in range(RETRIES + 1):
            try:
                return await _channel_of(callee).stream(replace(request, chunks=body.again()))
            except AppAway as error:
                if attempt == RETRIES or not body.complete:
                    raise
                logger.info("app '%s' could not be reached, trying again: %s", app_id, error)
            await sleep_until(clock, clock.now() + RETRY_AFTER)
        raise AssertionError  # pragma: no cover - the last attempt returns or raises

    def _find(self, app_id: str) -> "Runtime":
        runtimes = self._runtime.engine.runtimes
        name, dot, namespace = app_id.partition(".")
        found = runtimes.get(name)
        if found is None or (dot and namespace != found.options.namespace):
            raise faults.direct_invoke(app_id, f"couldn't find service: {app_id}")
        return found

    def _forwarded(self, headers: Headers) -> Headers:
        """Return the caller's headers without those that end here."""
        options = self._runtime.options
        dropped = set(_NOT_FORWARDED)
        for name, value in headers:
            if name == "connection":
                dropped.update(token.strip().lower() for token in value.split(","))
        if options.api_token or options.app_token:
            dropped.add("dapr-api-token")
        return tuple(
            (name, value)
            for name, value in headers
            if name not in dropped and not name.endswith("-bin")
        )

    def _caller(self, callee: str) -> Headers:
        own = self._runtime
        address = own.options.app_channel_address
        return (
            ("dapr-caller-app-id", own.app_id),
            ("dapr-caller-namespace", own.options.namespace),
            ("dapr-callee-app-id", callee),
            ("x-forwarded-for", address),
            ("x-forwarded-host", "localhost"),
            ("forwarded", f"for={address};by={address};host=localhost"),
        )


class _Replayed:
    """A body that can be sent again as long as what was taken of it is small enough to keep."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self._kept: list[bytes] = []
        self._size = 0

    @property
    def complete(self) -> bool:
        """Whether everything taken so far is still at hand."""
        return self._size <= _KEPT

    async def again(self) -> AsyncIterator[bytes]:
        """Yield what was taken before, then the rest."""
        for chunk in list(self._kept):
            yield chunk
        async for chunk in self._chunks:
            self._size += len(chunk)
            if self.complete:
                self._kept.append(chunk)
            yield chunk


def _channel_of(runtime: "Runtime") -> AppChannel:
    if runtime.channel is None:
        raise AppUnreachable(
            "app channel is not initialized: the sidecar was started without an app port"
        )
    if not runtime.app_healthy:
        raise faults.direct_invoke(runtime.app_id, "app is not in a healthy state")
    return runtime.channel
