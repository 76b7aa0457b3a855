"""Service invocation: from this app to itself, to other apps of the run, to plain HTTP hosts."""

import logging
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import unquote

from daprflow.protocol import faults
from daprflow.protocol.http import Headers, StreamedRequest, StreamedResponse
from daprflow.sidecar.access import may_invoke
from daprflow.sidecar.app.base import App
from daprflow.sidecar.blocks.endpoints import HttpEndpoints
from daprflow.sidecar.blocks.external import ExternalHosts
from daprflow.sidecar.blocks.replayed_body import ReplayedBody
from daprflow.sidecar.channel.base import AppAway, AppUnreachable
from daprflow.sidecar.resiliency.backoff import Backoff
from daprflow.sidecar.telemetry.passage import Passage

if TYPE_CHECKING:
    from daprflow.sidecar.runtime import Runtime

logger = logging.getLogger(__name__)

_KEPT = 1024 * 1024
_IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"})
_NOT_FORWARDED = frozenset(
    {
        "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade",
        "http2-settings", "te", "trailer", "proxy-authorization", "proxy-authenticate",
        "host", "content-length", "destination-app-id",
        "dapr-caller-app-id", "dapr-caller-namespace", "dapr-callee-app-id",
    }
)  # fmt: skip


class UnknownApp(Exception):  # noqa: N818 - named for the state
    """No app of this run has that name; the text is the real runtime's."""


class InvocationBlock:
    """Carries calls from one app to others."""

    def __init__(self, runtime: "Runtime") -> None:
        self._runtime = runtime
        self._external = ExternalHosts()
        self._endpoints = HttpEndpoints(runtime.loader, runtime.app_id)
        own, namespace = runtime.app_id, runtime.options.namespace
        self._own_names = frozenset({own, f"{own}.{namespace}"})

    @property
    def endpoints(self) -> tuple[str, ...]:
        """The names of hosts outside Dapr."""
        return self._endpoints.names

    async def renew(self) -> None:
        """Take the HTTP endpoints as the files define them now.

        Raises:
            ComponentError: one of them cannot be used; all stay as they were.
        """
        await self._endpoints.take(self._runtime.resources.http_endpoints)

    async def close(self) -> None:
        """Give back the connections to plain HTTP hosts."""
        await self._endpoints.close()
        await self._external.close()

    async def invoke(self, app_id: str, request: StreamedRequest) -> StreamedResponse:
        """Carry ``request`` to an app; its target is the method's path with the query.

        Args:
            app_id: ``app``, ``app.<any namespace>``, the name of an HTTP endpoint, or an ``http(s)://``
                address.
            request: headers as the caller sent them; what may not travel is left out here.

        Raises:
            Fault: the app is unknown or could not be reached.
        """
        request = replace(request, headers=self._forwarded(request.headers))
        try:
            if app_id.startswith(("http://", "https://")):
                return await self._external.stream(app_id, request)
            if app_id in self._endpoints.names:
                return await self._endpoints.stream(app_id, request)
            if self.is_own(app_id):
                return await called_app(self._runtime, app_id).invoke(request)
            return await self._call_other(app_id, request)
        except AppUnreachable as error:
            raise faults.direct_invoke(app_id, str(error)) from error

    async def await_arrival(self, app_id: str) -> None:
        """Wait for another app that is on its way up."""
        await self._runtime.engine.arrivals.wait_for(app_id.partition(".")[0], self._runtime.app_id)

    async def _call_other(self, app_id: str, request: StreamedRequest) -> StreamedResponse:
        await self.await_arrival(app_id)
        try:
            callee = self.find(app_id)
        except UnknownApp as error:
            raise faults.direct_invoke(app_id, str(error)) from error
        path = unquote(request.target.partition("?")[0])
        if not self.may_call(callee, request.method, path):
            raise faults.invocation_denied(
                callee.app_id, self._runtime.app_id, request.method, path.removeprefix("/")
            )
        if callee.app is not None and callee.app.grpc is not None:
            callee = await self.reachable(callee)
        request = replace(request, headers=(*request.headers, *self.caller(callee.app_id)))
        own = self._runtime.telemetry
        if not own.watching and not callee.telemetry.watching:
            return await self._carry(app_id, callee, request)
        passage = Passage(own, callee.telemetry, self._runtime.app_id, callee.app_id)
        headers, span = passage.begin(path.removeprefix("/"), request.headers)
        request = replace(request, headers=tuple(headers))
        status = 0
        try:
            response = await self._carry(app_id, callee, request)
            status = response.status
        finally:
            passage.end(span, status)
        return response

    async def _carry(
        self, app_id: str, callee: "Runtime", request: StreamedRequest
    ) -> StreamedResponse:
        """Make a call; one that did not get to the app is tried with other replicas, then again."""
        resiliency, runtimes = self._runtime.resiliency, self._runtime.engine.runtimes
        once = request.length is None or resiliency.targets_app(app_id)
        if once and len(runtimes.of(callee.app_id)) == 1:
            return await called_app(callee, app_id, remote=True).invoke(request)
        body = ReplayedBody(request.chunks, _KEPT)
        backoff: Backoff | None = None
        tried: list[Runtime] = []
        while True:
            try:
                called = called_app(callee, app_id, remote=True)
                return await called.invoke(replace(request, chunks=body.again()))
            except AppUnreachable as error:
                away = isinstance(error, AppAway)
                if not body.complete or not (away or request.method in _IDEMPOTENT):
                    raise
                tried.append(callee)
                other = runtimes.pick(callee.app_id, tried)
                if other is not None:
                    callee = other
                    continue
                backoff = backoff or resiliency.service_retries()
                pause = backoff.next() if away and not once else None
                if pause is None:
                    raise
                logger.info("app '%s' could not be reached, trying again: %s", app_id, error)
                if not await resiliency.pause(pause):
                    raise
                tried.clear()

    async def reachable(self, callee: "Runtime") -> "Runtime":
        """Return a replica that can be called over gRPC: that one, or another where it is away."""
        runtimes, first = self._runtime.engine.runtimes, callee
        tried: list[Runtime] = []
        while len(runtimes.of(callee.app_id)) > 1 and callee.app is not None and callee.app.grpc:
            try:
                await callee.app.grpc.reach()
            except AppUnreachable:
                tried.append(callee)
                other = runtimes.pick(callee.app_id, tried)
                if other is None:
                    return first
                callee = other
            else:
                break
        return callee

    def is_own(self, app_id: str) -> bool:
        """Tell whether ``app_id`` is this app."""
        return app_id in self._own_names

    def may_call(self, callee: "Runtime", verb: str, path: str) -> bool:
        """Ask the callee's access control; this process knows for certain who calls.

        Args:
            callee: the other app.
            verb: upper-case; it does not count where the callee speaks gRPC.
            path: of the method, without the query.
        """
        control = callee.resources.configuration.access_control
        if control is None:
            return True
        own, by_name = self._runtime, callee.app is not None and callee.app.grpc is not None
        named = None if by_name else verb
        return may_invoke(control, own.app_id, own.options.namespace, named, path)

    def find(self, app_id: str) -> "Runtime":
        """Return an app of this run: one replica after the other, of those that take calls.

        As outside clusters no name resolver heeds its namespace.

        Raises:
            UnknownApp: there is none of that name.
        """
        if not app_id:
            raise UnknownApp("app id is empty")
        name, _, namespace = app_id.partition(".")
        if "." in namespace:
            raise UnknownApp(f"invalid app id {app_id}")
        found = self._runtime.engine.runtimes.pick(name)
        if found is None:
            raise UnknownApp(f"couldn't find service: {name}")
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

    def caller(self, callee: str) -> Headers:
        """Return what tells a callee who calls it."""
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


def called_app(runtime: "Runtime", app_id: str, *, remote: bool = False) -> App:
    """Return the app of ``runtime``, as far as it can be called.

    Args:
        runtime: the app's.
        app_id: the app as the caller wrote it.
        remote: whether the caller is another app.

    Raises:
        AppUnreachable: there is none.
        Fault: it is not healthy.
    """
    if runtime.app is None:
        raise AppUnreachable(
            "app channel is not initialized: the sidecar was started without an app port"
        )
    if not runtime.app_healthy:
        text = "rpc error: code = Internal desc = app is not in a healthy state"
        if remote:
            text = f"rpc error: code = Internal desc = error invoking app channel: {text}"
        raise faults.direct_invoke(app_id, text)
    return runtime.app
