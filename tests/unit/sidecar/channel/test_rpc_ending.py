"""How calls end that an app refuses before it takes their first message."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest

from daprflow.sidecar.app.connect import make_app
from daprflow.sidecar.options import RuntimeOptions
from tests.helpers.grpc_calls import refusal
from tests.helpers.grpc_sidecar import grpc_sidecar


@pytest.fixture
def port() -> Iterator[int]:
    """The port of an app with threads of its own, which has no method at all."""
    with futures.ThreadPoolExecutor() as threads:
        server = grpc.server(threads)
        taken = server.add_insecure_port("127.0.0.1:0")
        server.start()
        yield taken
        server.stop(None).wait()


async def test_the_apps_status_counts_and_never_the_librarys(tmp_path: Path, port: int) -> None:
    """Whichever comes first, the refusal or the news that the message was not sent."""
    options = RuntimeOptions("app1", app_port=port, app_protocol="grpc")
    async with grpc_sidecar(tmp_path, {}, called=make_app(options), options=options) as sidecar:
        method: Any = sidecar.channel.unary_unary("/shop.Prices/None")
        metadata = (("dapr-app-id", "app1"),)
        ends = await asyncio.gather(*(refusal(method(b"", metadata=metadata)) for _ in range(300)))
    assert Counter((end.code, end.text) for end in ends) == {
        ("UNIMPLEMENTED", "Method not found!"): 300
    }
