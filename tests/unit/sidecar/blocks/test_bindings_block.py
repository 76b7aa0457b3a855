"""The bindings block below its conformance rows: what it refuses and what it leaves alone."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from daprflow.protocol.fault import Fault
from daprflow.protocol.http import HttpRequest, HttpResponse, StreamedRequest, StreamedResponse
from daprflow.protocol.resources import ComponentResource, MetadataItem
from daprflow.sidecar.app.base import BINDING_TIMEOUT
from daprflow.sidecar.app.http import HttpApp
from daprflow.sidecar.channel.base import AppUnreachable
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.engine import Engine
from daprflow.sidecar.options import RuntimeOptions
from daprflow.sidecar.resources import Resources
from daprflow.sidecar.runtime import Runtime


class Answering:
    """A channel to an app that answers what a function says."""

    def __init__(self, answer: Callable[[HttpRequest], HttpResponse]) -> None:
        self.requests: list[HttpRequest] = []
        self._answer = answer

    async def send(self, request: HttpRequest, /) -> HttpResponse:
        """Record and answer."""
        self.requests.append(request)
        return self._answer(request)

    async def stream(self, request: StreamedRequest, /) -> StreamedResponse:
        """Refuse: bindings do not stream."""
        raise AssertionError

    async def check(self, request: HttpRequest, /) -> HttpResponse:
        """Refuse: bindings do not probe health."""
        raise AssertionError

    async def probe(self) -> bool:
        """Tell that the app is there."""
        return True

    async def close(self) -> None:
        """Do nothing."""


def cron(name: str, **metadata: str) -> ComponentResource:
    """Return a cron binding that ticks each second."""
    items = {"schedule": "@every 1s", **metadata}
    return ComponentResource(
        name, "bindings.cron", metadata=tuple(MetadataItem(k, v) for k, v in items.items())
    )


def files(**metadata: str) -> ComponentResource:
    """Return a file binding."""
    items = {"rootPath": "files", **metadata}
    return ComponentResource(
        "files",
        "bindings.localstorage",
        metadata=tuple(MetadataItem(k, v) for k, v in items.items()),
    )


async def opened(
    root: Path, channel: Answering | None, *components: ComponentResource
) -> tuple[Runtime, VirtualClock]:
    """Open a sidecar."""
    clock = VirtualClock()
    engine = Engine(clock, None, root)
    app = None if channel is None else HttpApp(channel)
    runtime = Runtime(engine, RuntimeOptions("a"), Resources(components), app)
    await runtime.open()
    return runtime, clock


async def test_directions(tmp_path: Path) -> None:
    """``output`` is never an input, ``input`` is asked for without a probe and no output."""
    channel = Answering(lambda _: HttpResponse(200))
    runtime, _ = await opened(
        tmp_path,
        channel,
        cron("never", direction="output"),
        cron("always", direction="input, output"),
        cron("asked"),
        files(direction="input"),
    )
    await runtime.bindings.start()
    assert set(runtime.bindings.started) == {"always", "asked"}
    assert [request.target for request in channel.requests] == ["/asked"]
    with pytest.raises(Fault, match="couldn't find output binding files"):
        await runtime.bindings.invoke("files", "list", b"", {})
    await runtime.bindings.start()
    assert len(channel.requests) == 1
    await runtime.bindings.stop()
    assert runtime.bindings.started == ()
    await runtime.engine.close()


async def test_one_app_that_does_not_answer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A probe that fails leaves out its binding alone, and the log says which."""

    def answer(request: HttpRequest) -> HttpResponse:
        if request.target == "/one":
            raise AppUnreachable("broken off")
        return HttpResponse(405)

    runtime, _ = await opened(tmp_path, Answering(answer), cron("one"), cron("two"))
    await runtime.bindings.start()
    assert runtime.bindings.started == ("two",)
    assert "binding 'one' is not started" in caplog.text
    await runtime.engine.close()


async def test_work_is_counted(tmp_path: Path) -> None:
    """A tick counts as open work from the moment it is due until the app has answered."""
    channel = Answering(lambda request: HttpResponse(200 if request.method == "OPTIONS" else 503))
    runtime, clock = await opened(tmp_path, channel, cron("tick", route="on tick"))
    await runtime.bindings.start()
    clock.move_to(clock.now() + 1)
    assert runtime.engine.work.count == 1
    await asyncio.wait_for(runtime.engine.work.idle(), 5)
    assert (channel.requests[-1].method, channel.requests[-1].target) == ("POST", "/on%20tick")
    await runtime.engine.close()


async def test_without_an_app(tmp_path: Path) -> None:
    """A sidecar without an app starts no input binding."""
    runtime, _ = await opened(tmp_path, None, cron("tick"))
    await runtime.bindings.start()
    assert runtime.bindings.started == ()
    await runtime.engine.close()


async def test_output_calls(tmp_path: Path) -> None:
    """An output binding is called by name; a missing operation is refused before its name."""
    runtime, _ = await opened(tmp_path, None, files())
    answer = await runtime.bindings.invoke("files", "create", b'"a b"', {"fileName": "f"})
    assert msgspec.json.decode(answer.data or b"") == {"fileName": "f"}
    with pytest.raises(Fault, match="operation field is missing"):
        await runtime.bindings.invoke("none", "", b"", {})
    with pytest.raises(Fault, match="supported operations:create get list delete"):
        await runtime.bindings.invoke("files", "exec", b"", {})
    with pytest.raises(Fault, match="file not found"):
        await runtime.bindings.invoke("files", "get", b"", {"fileName": "x"})
    await runtime.engine.close()


def test_the_probe_has_a_deadline() -> None:
    """A probe waits as long as the real runtime does."""
    assert BINDING_TIMEOUT == 3.0
