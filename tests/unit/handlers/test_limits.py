"""``max_concurrency``: so many deliveries at once, a queue behind them, backpressure beyond."""

import asyncio
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from daprflow import AppDefinitionError, Batch, DaprFlow, Delivery, Next, Outcome
from daprflow.reliability import Concurrency
from tests.helpers.app_calls import Answer, Caller, attributes, event, running
from tests.helpers.timing import eventually


class Work:
    """A handler's work, which goes on when it is told to."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.order: list[Any] = []
        self.running = 0
        self.most = 0

    async def do(self, what: Any) -> None:
        """Begin, wait and end."""
        self.running += 1
        self.most = max(self.most, self.running)
        self.order.append(what)
        try:
            await self.go_on.wait()
        finally:
            self.running -= 1


@pytest.fixture
def work() -> Work:
    """Work that waits."""
    return Work()


def delivering(call: Caller, numbers: range) -> list[asyncio.Task[Answer]]:
    """Deliver events at one time."""
    return [asyncio.create_task(call.deliver(number)) for number in numbers]


async def test_more_deliveries_wait_in_order(work: Work) -> None:
    """No more than so many run; the others follow, first come first served."""
    app = DaprFlow("shop")

    @app.topic("pubsub", "orders", max_concurrency=2)
    async def on_order(number: int) -> None:
        await work.do(number)

    async with running(app) as call:
        answers = delivering(call, range(8))
        await eventually(lambda: app.handler_loads[0].waiting == 6)
        load = app.handler_loads[0]
        assert (load.kind, load.name, load.in_flight, load.most) == ("topic", "on_order", 2, 2)
        work.go_on.set()
        assert {each.verdict for each in await asyncio.gather(*answers)} == {"SUCCESS"}
        load = app.handler_loads[0]
    assert work.order == list(range(8))
    assert work.most == 2
    assert (load.in_flight, load.waiting, load.waits, load.refused) == (0, 0, 6, 0)
    assert load.waited > 0


async def test_an_event_that_finds_no_room_comes_again(work: Work) -> None:
    """It is answered RETRY at once, and so is one that waited too long."""
    app = DaprFlow("shop")
    limit = Concurrency(1, waiting=1, wait=timedelta(milliseconds=20))

    @app.topic("pubsub", "orders", max_concurrency=limit)
    async def on_order(number: int) -> None:
        await work.do(number)

    async with running(app) as call:
        first, second, third = delivering(call, range(3))
        assert (await third).verdict == "RETRY"
        assert (await second).verdict == "RETRY"
        work.go_on.set()
        assert (await first).verdict == "SUCCESS"
        assert app.handler_loads[0].refused == 2
    assert work.order == [0]


async def test_a_batch_that_finds_no_room_comes_again(work: Work) -> None:
    """Every entry of it is answered RETRY."""
    app = DaprFlow("shop")

    @app.topic("pubsub", "orders", max_concurrency=Concurrency(1, waiting=0))
    async def on_orders(batch: Batch[int]) -> None:
        await work.do(len(batch))

    body = msgspec.json.encode(
        {"entries": [{"entryId": "0", "event": {**attributes(), "data": 1}, "contentType": "x"}]}
    )
    async with running(app) as call:
        first = asyncio.create_task(call.post("/dapr/topics/pubsub/orders", body))
        await eventually(lambda: work.running == 1)
        second = await call.post("/dapr/topics/pubsub/orders", body)
        assert second.json["statuses"] == [{"entryId": "0", "status": "RETRY"}]
        work.go_on.set()
        assert (await first).json["statuses"] == [{"entryId": "0", "status": "SUCCESS"}]


async def test_who_invokes_is_told_to_come_later(work: Work) -> None:
    """503 with ``Retry-After``, for bindings and jobs, too; an error handler is not asked."""
    app = DaprFlow("shop")
    limit = Concurrency(1, waiting=0)

    @app.on_error(Exception)
    async def never(error: Exception) -> str:
        return "not this"

    @app.invoke(max_concurrency=limit)
    async def quote() -> None:
        await work.do("quote")

    @app.binding("sms", max_concurrency=limit)
    async def on_sms(data: bytes) -> None:
        await work.do("sms")

    @app.job("tick", max_concurrency=limit)
    async def tick() -> None:
        await work.do("tick")

    async with running(app) as call:
        for path in ("/quote", "/sms", "/job/tick"):
            first = asyncio.create_task(call.post(path, b"1"))
            await eventually(lambda: work.running == 1)
            second = await call.post(path, b"1")
            assert second.status == 503, path
            assert second.headers["retry-after"] == "1"
            assert b"1 deliveries of it" in second.body
            work.go_on.set()
            assert (await first).status < 300
            work.go_on.clear()


async def test_each_handler_has_slots_of_its_own(work: Work) -> None:
    """One that is full leaves those of others alone, and handlers without a limit have none."""
    app = DaprFlow("shop")

    @app.invoke(max_concurrency=1)
    async def slow() -> None:
        await work.do("slow")

    @app.invoke(max_concurrency=1)
    async def quick() -> int:
        return 1

    @app.invoke
    async def free() -> int:
        return 2

    async with running(app) as call:
        hung = [asyncio.create_task(call.post("/slow")) for _ in range(3)]
        await eventually(lambda: work.running == 1)
        assert (await call.post("/quick")).body == b"1"
        assert (await call.post("/free")).body == b"2"
        assert [each.name for each in app.handler_loads] == ["slow", "quick"]
        work.go_on.set()
        await asyncio.gather(*hung)


async def test_a_caller_that_leaves_gives_its_place_up(work: Work) -> None:
    """Cancelled while it waits or while it runs, it holds no slot."""
    app = DaprFlow("shop")

    @app.topic("pubsub", "orders", max_concurrency=1)
    async def on_order(number: int) -> None:
        await work.do(number)

    async with running(app) as call:
        first, second, third = delivering(call, range(3))
        await eventually(lambda: app.handler_loads[0].waiting == 2)
        second.cancel()
        first.cancel()
        await asyncio.wait([first, second])
        await eventually(lambda: work.order == [0, 2])
        work.go_on.set()
        assert (await third).verdict == "SUCCESS"
        assert app.handler_loads[0].in_flight == 0


async def test_a_failure_frees_its_slot() -> None:
    """As every end does."""
    app = DaprFlow("shop")

    @app.topic("pubsub", "orders", max_concurrency=1)
    async def on_order(number: int) -> None:
        raise ValueError

    async with running(app) as call:
        for _ in range(3):
            assert (await call.deliver(1)).status == 500
        assert app.handler_loads[0].in_flight == 0


async def test_plain_functions_have_limits_too() -> None:
    """Beside that of the threads."""
    app = DaprFlow("shop")

    @app.invoke(max_concurrency=1)
    def quote() -> int:
        return 1

    async with running(app) as call:
        answers = await asyncio.gather(*(call.post("/quote") for _ in range(4)))
    assert [each.status for each in answers] == [200] * 4


async def test_interceptors_see_what_was_put_off(work: Work) -> None:
    """They stand outside: the wait is theirs to measure."""
    app = DaprFlow("shop")
    seen: list[str] = []

    async def watch(delivery: Delivery, call: Next) -> Outcome:
        outcome = await call(delivery)
        seen.append(f"{outcome.status.value} {type(outcome.error).__name__}")
        return outcome

    limit = Concurrency(1, waiting=0)

    @app.topic("pubsub", "orders", max_concurrency=limit, interceptors=[watch])
    async def on_order(number: int) -> None:
        await work.do(number)

    async with running(app) as call:
        (first,) = delivering(call, range(1))
        await eventually(lambda: work.running == 1)
        await call.post("/dapr/topics/pubsub/orders", event(1))
        work.go_on.set()
        await first
    assert seen == ["RETRY Busy", "SUCCESS NoneType"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (0, "sets max_concurrency=0; it must be at least 1"),
        (True, "sets max_concurrency=True; it must be a number or a Concurrency"),
        ("8", "sets max_concurrency='8'; it must be a number or a Concurrency"),
        (Concurrency(-1), "sets max_concurrency=-1; it must be at least 1"),
        (Concurrency(1, waiting=-1), r"sets Concurrency\(waiting=-1\); it takes 0 or more"),
        (Concurrency(1, wait=timedelta(hours=1)), r"sets Concurrency\(wait=.*up to a minute"),
    ],
)
def test_a_limit_that_cannot_be_is_told_at_freeze(given: Any, expected: str) -> None:
    """With the handler's name and its line."""
    app = DaprFlow("shop")

    @app.topic("pubsub", "orders", max_concurrency=given)
    async def on_order(number: int) -> None: ...

    place = r"topic handler 'on_order' \(tests\.unit\.handlers\.test_limits:\d+\) "
    with pytest.raises(AppDefinitionError, match=place + expected):
        app.freeze()
