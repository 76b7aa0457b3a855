"""Calls over gRPC on an app that runs several times."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from daprflow.protocol import messages
from daprflow.protocol.http import HttpRequest
from daprflow.sidecar.app.connect import make_app
from daprflow.sidecar.channel.in_process import AsgiChannel
from daprflow.sidecar.http_api.app import HttpApi
from daprflow.sidecar.options import RuntimeOptions
from daprflow.sidecar.resources import Resources
from daprflow.sidecar.runtime import Runtime
from tests.helpers.grpc_app import SERVICE, GrpcTestApp, always, grpc_app
from tests.helpers.grpc_callers import Caller, callers, message
from tests.helpers.policies import CALL_POLICIES, with_policies

ECHO = "/test.Echo/Echo"
TO_OTHER = ("dapr-app-id", "other")


@dataclass(frozen=True, slots=True)
class Shops:
    """A caller, and the processes of the app that it calls."""

    caller: Caller
    apps: Sequence[GrpcTestApp]
    runtimes: Sequence[Runtime]

    def counts(self, rpc: str) -> list[int]:
        """Return how many calls each process got."""
        return [len(app.seen(rpc)) for app in self.apps]


async def echo(requests: AsyncIterator[bytes], context: Any) -> None:
    """Send every message back."""
    async for request in requests:
        await context.write(request)


@contextlib.asynccontextmanager
async def shops(root: Path, files: Resources | None = None) -> AsyncIterator[Shops]:
    """Start a caller and three processes, each behind a sidecar."""
    async with contextlib.AsyncExitStack() as stack:
        made = await stack.enter_async_context(callers(root, files, own=None))
        caller = made["own"]
        apps, runtimes = [], []
        for number in (1, 2, 3):
            answers = {"OnInvoke": always(messages.InvokeResponse(content_type="a/b"))}
            app = await stack.enter_async_context(grpc_app(**answers))
            app.streams[ECHO] = echo
            options = RuntimeOptions("other", app.port, app_protocol="grpc", replica=number)
            runtime = Runtime(caller.runtime.engine, options, Resources(), make_app(options))
            stack.push_async_callback(runtime.close, 1.0)
            await runtime.open()
            apps.append(app)
            runtimes.append(runtime)
        yield Shops(caller, apps, runtimes)


async def test_calls_over_grpc_are_spread(tmp_path: Path) -> None:
    """``InvokeService`` goes to the replicas in turn, past those that do not listen."""
    async with shops(tmp_path) as found:
        for _ in range(6):
            assert (await found.caller.invoke("other", message())).code == "OK"
        assert found.counts(f"{SERVICE}OnInvoke") == [2, 2, 2]
        await found.apps[1].stop()
        for _ in range(6):
            assert (await found.caller.invoke("other", message())).code == "OK"
        assert found.counts(f"{SERVICE}OnInvoke")[1] == 2
        assert sum(found.counts(f"{SERVICE}OnInvoke")) == 12


async def test_calls_over_http_of_processes_that_speak_grpc(tmp_path: Path) -> None:
    """They are spread in the same way."""
    async with shops(tmp_path) as found:
        api = AsgiChannel(HttpApi(found.caller.runtime))
        await found.apps[0].stop()
        for _ in range(6):
            answer = await api.send(HttpRequest("POST", "/v1.0/invoke/other/method/m"))
            assert answer.status == 200
        counts = found.counts(f"{SERVICE}OnInvoke")
        assert counts[0] == 0
        assert min(counts[1:]) >= 2


@pytest.mark.parametrize("guarded", [False, True])
async def test_calls_that_pass_through_are_spread(tmp_path: Path, *, guarded: bool) -> None:
    """A process that does not listen gets none, with a policy and without."""
    files = with_policies(tmp_path / "policies", {}, CALL_POLICIES) if guarded else None
    async with shops(tmp_path, files) as found:
        for _ in range(6):
            assert (await found.caller.pass_on(ECHO, TO_OTHER)).body == b"\x0a\x01x"
        assert found.counts(ECHO) == [2, 2, 2]
        await found.apps[2].stop()
        for _ in range(6):
            assert (await found.caller.pass_on(ECHO, TO_OTHER)).code == "OK"
        assert found.counts(ECHO)[2] == 2
        assert sum(found.counts(ECHO)) == 12


async def test_when_no_process_listens(tmp_path: Path) -> None:
    """The call fails as with one process."""
    async with shops(tmp_path) as found:
        await asyncio.gather(*(app.stop() for app in found.apps))
        outcome = await found.caller.pass_on(ECHO, TO_OTHER)
        assert outcome.code == "UNAVAILABLE"
        outcome = await found.caller.invoke("other", message())
        assert outcome.code == "UNAVAILABLE"
