"""Apps that call each other over gRPC: a sidecar for each, in one engine."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc

from daprflow.protocol import messages
from daprflow.sidecar.app.base import App
from daprflow.sidecar.app.connect import make_app
from daprflow.sidecar.app.http import HttpApp
from daprflow.sidecar.channel.in_process import AsgiChannel
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.engine import Engine
from daprflow.sidecar.grpc_api.server import GrpcServer
from daprflow.sidecar.options import RuntimeOptions
from daprflow.sidecar.resources import Resources
from daprflow.sidecar.runtime import Runtime
from tests.helpers.grpc_app import GrpcTestApp
from tests.helpers.recording import RecordingApp

INVOKE = "/dapr.proto.runtime.v1.Dapr/InvokeService"
UNTRACED = f"00-{'0' * 32}-{'0' * 16}-00"
Spoken = GrpcTestApp | RecordingApp | None
Pairs = tuple[tuple[str, str | bytes], ...]


@dataclass(frozen=True, slots=True)
class Caller:
    """One app's sidecar, and a channel to it."""

    runtime: Runtime
    channel: Any  # the library's stubs have no types for messages that are bytes
    clock: VirtualClock

    async def invoke(
        self, app_id: str, message: messages.InvokeRequest, metadata: Pairs = ()
    ) -> "Outcome":
        """Call ``InvokeService``."""
        request = messages.InvokeServiceRequest(id=app_id, message=message)
        call: Any = self.channel.unary_unary(INVOKE)(request.SerializeToString(), metadata=metadata)
        outcome = await ended(call)
        answer = messages.InvokeResponse.FromString(outcome.body)
        return replace(outcome, answer=answer)

    async def pass_on(self, method: str, *metadata: tuple[str, str | bytes]) -> "Outcome":
        """Call a method of an app with one message."""
        call: Any = self.channel.unary_unary(method)(b"\x0a\x01x", metadata=metadata)
        return await ended(call)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call ended; ``code`` is the name of the status."""

    code: str
    text: str
    body: bytes
    head: dict[str, str | bytes]
    trail: dict[str, str | bytes]
    answer: messages.InvokeResponse

    @property
    def info(self) -> messages.ErrorInfo:
        """The first detail."""
        packed = self.trail["grpc-status-details-bin"]
        assert isinstance(packed, bytes)
        info = messages.ErrorInfo()
        assert messages.RpcStatus.FromString(packed).details[0].Unpack(info)
        return info


async def settled(call: Any) -> None:
    """Wait for the status of the server: an error of the library's own may stand there before it.

    It is the one of a message that could not be sent any more, because the server had ended.
    """
    for _ in range(400):
        if await call.details() != "Internal error from Core":
            return
        await asyncio.sleep(0.005)


async def ended(call: Any) -> Outcome:
    """Wait for the end of a call."""
    body = b""
    with contextlib.suppress(grpc.aio.AioRpcError):
        body = await call
    await settled(call)
    head, trail = dict(await call.initial_metadata()), dict(await call.trailing_metadata() or ())
    code = (await call.code()).name
    return Outcome(code, await call.details(), body, head, trail, messages.InvokeResponse())


def spoken_to(options: RuntimeOptions, app: Spoken) -> App | None:
    """Return what a sidecar calls."""
    if isinstance(app, RecordingApp):
        return HttpApp(AsgiChannel(app, app_token=options.app_token))
    return make_app(options)


@contextlib.asynccontextmanager
async def callers(
    root: Path,
    files: Resources | None = None,
    *,
    token: str | None = None,
    metrics: bool = False,
    **apps: Spoken,
) -> AsyncIterator[dict[str, Caller]]:
    """Start a sidecar for each app, all in one engine; ``files`` are those of all."""
    clock = VirtualClock()
    engine = Engine(clock, None, root)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(engine.close)
        made: dict[str, Caller] = {}
        for app_id, app in apps.items():
            port = app.port if isinstance(app, GrpcTestApp) else None
            options = RuntimeOptions(
                app_id, port, app_protocol="grpc", app_token=token, metrics=metrics
            )
            if isinstance(app, RecordingApp):
                options = replace(options, app_port=1, app_protocol="http")
            runtime = Runtime(engine, options, files or Resources(), spoken_to(options, app))
            stack.push_async_callback(runtime.close, 1.0)
            await runtime.open()
            server = GrpcServer(runtime)
            port = await server.start()
            stack.push_async_callback(server.stop, 0)
            channel = await stack.enter_async_context(
                grpc.aio.insecure_channel(f"127.0.0.1:{port}")
            )
            made[app_id] = Caller(runtime, channel, clock)
        yield made


def message(method: str = "m", data: bytes = b"", verb: str = "POST") -> messages.InvokeRequest:
    """Return what ``InvokeService`` takes."""
    extension = messages.HTTPExtension(verb=messages.HTTPExtension.Verb.Value(verb))
    return messages.InvokeRequest(
        method=method, data=messages.AnyMessage(value=data), http_extension=extension
    )
