"""The client's streaming subscriptions against the embedded sidecar: payloads, and a restart."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from daprflow import Client, CloudEvent, DaprFlow, Topic
from daprflow.protocol.cloudevents import CloudEvent as Event
from daprflow.settings import Settings
from daprflow.sidecar.clock import SystemClock
from daprflow.sidecar.engine import Engine
from daprflow.sidecar.grpc_api.server import GrpcServer
from daprflow.sidecar.http_api.app import HttpApi
from daprflow.sidecar.options import RuntimeOptions
from daprflow.sidecar.runtime import Runtime
from daprflow.testing import TestSidecar
from daprflow.transports.server import HttpServer
from tests.helpers.own_ports import free_port
from tests.helpers.recording import free_socket
from tests.helpers.sidecar import resources
from tests.helpers.timing import eventually


class Order(msgspec.Struct):
    id: str
    total: float


PAYLOADS: list[tuple[Any, Any, dict[str, Any]]] = [
    (Order, Order("ä", 1.5), {}),
    (dict[str, Any], {"deep": [1, None, {"a": True}]}, {}),
    (int, 2**40, {}),
    (str, "text", {}),
    (str, '"quoted" text', {}),
    (str, "json text", {"content_type": "application/json"}),
    (bytes, b"\x00\xff", {}),
    (dict[str, int], '{"a":1}', {"content_type": "text/plain"}),
    (bytes, Order("a", 1.5), {}),
    (str, Order("a", 1.5), {}),
    (type(None), None, {}),
    (str, "<a/>", {"content_type": "application/xml"}),
    (int, Event(id="x", source="s", type="t", data=1, subject="me", extensions={"n": 5}), {}),
    (int, 1, {"metadata": {"cloudevent.source": "elsewhere"}}),
]


@pytest.mark.parametrize(("kind", "data", "options"), PAYLOADS)
async def test_a_stream_brings_what_a_handler_gets(
    kind: Any, data: Any, options: dict[str, Any]
) -> None:
    """Data and every attribute are the same, whatever their type and content type."""
    app = DaprFlow("shop", settings=Settings())
    handled: list[CloudEvent[Any]] = []

    async def handle(event: CloudEvent[kind]) -> None:
        handled.append(event)

    app.topic("pubsub", "handled")(handle)
    async with TestSidecar(app) as dapr:
        client = dapr.client
        await dapr.publish(Topic("pubsub", "handled", kind), data, **options)
        async with client.subscribe("pubsub", "streamed", kind) as messages:
            await client.publish("pubsub", "streamed", data, **options)
            async with await anext(messages) as message:
                streamed = message.event
    assert _comparable(streamed) == _comparable(handled[0])


def _comparable(event: CloudEvent[Any]) -> Any:
    """Leave out what differs from publish to publish."""
    given = event.id if event.id == "x" else ""
    return msgspec.structs.replace(event, id=given, topic="", time=None)


async def test_data_that_the_runtime_loses_is_no_empty_event(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Over gRPC a runtime leaves out data of most content types; that is told, not passed on."""
    app = DaprFlow("shop", settings=Settings())
    wanted = ("pubsub", "t", bytes)
    async with (
        TestSidecar(app) as dapr,
        dapr.client.subscribe(*wanted, dead_letter="d") as messages,
    ):
        await dapr.client.publish("pubsub", "t", b"x", content_type="image/png")
        await dapr.client.publish("pubsub", "t", b"good")
        async with await anext(messages) as message:
            assert message.data == b"good"
        await eventually(lambda: len(dapr.published(Topic("pubsub", "d", bytes))) == 1)
    assert "passes no data of content type 'image/png' on" in caplog.text


@pytest.mark.parametrize("raw", [b'{"a":1}', b"\x00\xff", b""])
async def test_raw_events_come_as_they_are(raw: bytes) -> None:
    """A subscription to raw events brings the bytes that were published without an envelope."""
    app = DaprFlow("shop", settings=Settings())
    async with (
        TestSidecar(app) as dapr,
        dapr.client.subscribe("pubsub", "t", bytes, raw=True) as messages,
    ):
        await dapr.client.publish("pubsub", "t", raw, raw=True)
        async with await anext(messages) as message:
            assert message.data == raw


@contextlib.asynccontextmanager
async def listening(root: Path, http_port: int, grpc_port: int) -> AsyncIterator[None]:
    """Run a sidecar on two ports, with a broker that keeps its events in ``root``."""
    engine = Engine(SystemClock(), root, root)
    options = RuntimeOptions("shop", http_port=http_port)
    runtime = Runtime(engine, options, resources({"pubsub": ("pubsub.daprflow", {})}), None)
    http, grpc = HttpServer(HttpApi(runtime)), GrpcServer(runtime)
    await runtime.open()
    listener = free_socket(http_port)
    try:
        await http.start(listener)
        await grpc.start(grpc_port)
        await runtime.connect()
        yield
    finally:
        await grpc.stop(0)
        await http.stop(0)
        await runtime.close(1.0)
        await engine.close()


async def test_no_event_is_lost_when_the_sidecar_is_started_anew(tmp_path: Path) -> None:
    """A subscription goes on with the next sidecar; what was under way comes twice at most."""
    http_port, grpc_port = free_port(), free_port()
    settings = Settings(
        http_endpoint=f"http://127.0.0.1:{http_port}", grpc_endpoint=f"127.0.0.1:{grpc_port}"
    )
    seen: list[int] = []

    async def work(client: Client) -> None:
        async with client.subscribe("pubsub", "t", int) as messages:
            async for message in messages:
                async with message:
                    seen.append(message.data)

    async with contextlib.AsyncExitStack() as stack:
        client = Client(settings)
        stack.push_async_callback(client.close)
        async with listening(tmp_path, http_port, grpc_port):
            working = asyncio.create_task(work(client))
            await client.publish("pubsub", "t", 0)
            await eventually(lambda: seen == [0])
            for number in range(1, 20):
                await client.publish("pubsub", "t", number)
            await eventually(lambda: len(seen) > 5)
        async with listening(tmp_path, http_port, grpc_port):
            for number in range(20, 30):
                await client.publish("pubsub", "t", number)
            await eventually(lambda: set(seen) == set(range(30)))
            working.cancel()
            await asyncio.wait({working})
    assert max(seen.count(number) for number in seen) <= 2
