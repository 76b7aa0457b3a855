"""gRPC in tests of an app: streaming subscriptions and channels to other apps."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from daprflow import Drop, NotFound, Retry, Status, Topic
from daprflow.app import DaprFlow
from daprflow.client import Subscription
from daprflow.settings import Settings
from daprflow.testing import TestSidecar
from tests.helpers.grpc_echo import Echo, EchoStub, serving

NUMBERS = Topic("pubsub", "numbers", int)
DEAD = Topic("pubsub", "numbers-dead", int)


class Worker:
    """An app that takes numbers from a stream while it runs."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.app = DaprFlow("shop", settings=Settings(), lifespan=self.lifespan)

    @asynccontextmanager
    async def lifespan(self, _: Any) -> AsyncIterator[None]:
        """Subscribe before the app is up."""
        wanted = self.app.client.subscribe(NUMBERS, dead_letter=DEAD.name)
        async with wanted as messages, asyncio.TaskGroup() as tasks:
            worker = tasks.create_task(self.work(messages))
            yield
            worker.cancel()

    async def work(self, messages: Subscription[int]) -> None:
        """Give up what is negative, and try 9 twice."""
        async for message in messages:
            async with message:
                self.seen.append(message.data)
                if message.data < 0:
                    raise Drop
                if message.data == 9 and self.seen.count(9) == 1:
                    raise Retry


async def test_a_worker_of_an_app_is_tested_like_a_handler() -> None:
    """``publish`` returns the verdict of a streaming subscription, and the clock moves retries."""
    worker = Worker()
    async with TestSidecar(worker.app) as dapr:
        assert await dapr.publish(NUMBERS, 1) is Status.SUCCESS
        assert await dapr.publish(NUMBERS, -1) is Status.DROP
        assert dapr.published(DEAD) == [-1]
        assert await dapr.publish(NUMBERS, 9) is Status.RETRY
        await dapr.advance(timedelta(minutes=1))
    assert worker.seen == [1, -1, 9, 9]


async def test_a_subscription_of_the_test_makes_its_broker(app: DaprFlow) -> None:
    """A pub/sub component that nobody declared is made for a subscription, as for a publish."""
    async with TestSidecar(app) as dapr, dapr.client.subscribe("mine", "t", str) as messages:
        await dapr.client.publish("mine", "t", "a")
        async with await anext(messages) as message:
            assert (message.data, message.event.pubsubname) == ("a", "mine")


async def test_component_files_say_what_can_be_subscribed_to(app: DaprFlow, tmp_path: Path) -> None:
    """With a resources folder nothing is made up for subscriptions either."""
    async with TestSidecar(app, resources_path=tmp_path) as dapr:
        with pytest.raises(NotFound, match="pubsub mine is not found"):
            await anext(dapr.client.subscribe("mine", "t", str))


async def test_what_has_no_verdict_is_delivered_to_the_next_subscription(app: DaprFlow) -> None:
    """An event that a subscription leaves behind comes again, handed out or not."""
    async with TestSidecar(app) as dapr:
        async with dapr.client.subscribe(NUMBERS, max_in_flight=2) as messages:
            for number in range(3):
                await dapr.client.publish(NUMBERS, number)
            taken = [await anext(messages), await anext(messages)]
            await taken[0].ack()
        async with dapr.client.subscribe(NUMBERS) as messages:
            again: list[int] = []
            while len(again) < 2:
                async with await anext(messages) as message:
                    again.append(message.data)
    assert sorted(again) == [1, 2]


async def test_calls_reach_a_grpc_app_of_the_test(app: DaprFlow) -> None:
    """A channel goes through the sidecar to a server that the test started."""
    echo = Echo()
    async with serving(echo) as port, TestSidecar(app) as dapr:
        dapr.grpc_app("greeter", port)
        stub = EchoStub(dapr.client.grpc_channel("greeter"))
        assert await stub.unary(b"hello") == b"hello"
        assert [each async for each in stub.down(b"ab")] == [b"a", b"b"]
    sent = echo.metadata[0]
    assert (sent["dapr-caller-app-id"], sent["dapr-callee-app-id"]) == ("shop", "greeter")


async def test_the_app_under_test_speaks_http(app: DaprFlow) -> None:
    """Its own id cannot be given to a gRPC app."""
    async with TestSidecar(app) as dapr:
        with pytest.raises(ValueError, match="speaks HTTP"):
            dapr.grpc_app("shop", 1)


UNUSED = """
import asyncio, sys
from daprflow import DaprFlow, Topic
from daprflow.testing import TestSidecar
app = DaprFlow("shop")
orders = Topic("pubsub", "orders", int)
@app.topic(orders)
async def on_order(order: int) -> None: ...
async def main():
    async with TestSidecar(app) as dapr:
        await dapr.publish(orders, 1)
asyncio.run(main())
print(*(name for name in ("grpc", "dapr", "google.protobuf") if name in sys.modules))
"""


def test_who_does_not_use_grpc_does_not_load_it() -> None:
    """An app under test that needs no gRPC imports neither it nor protobuf."""
    run = subprocess.run(
        [sys.executable, "-c", UNUSED], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout) == (0, "\n"), run.stderr
