"""The seam of all that watches an app: what is put around it, when, and in which order."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from daprflow import Client, DaprFlow, Delivery, Outcome, Topic, WorkflowContext
from daprflow.handlers.handler import Next
from daprflow.handlers.verdicts import SUCCESS
from daprflow.observability import Handled, Observability, TurnNext, Watch, Watcher, WorkflowTurn
from daprflow.observability.watching import around
from daprflow.protocol.deliveries import Status
from daprflow.protocol.workflow_actions import Turn
from daprflow.testing import TestSidecar


class Order(msgspec.Struct):
    id: str


ORDERS = Topic("pubsub", "orders", Order)


class Notes(Watcher):
    """Writes down what it is told."""

    def __init__(self, name: str = "", notes: list[str] | None = None) -> None:
        self.name = name
        self.notes: list[str] = [] if notes is None else notes
        self.turns: list[WorkflowTurn] = []
        self.handled: list[Handled] = []

    def delivery(self, handled: Handled, call: Next) -> Next:
        self.handled.append(handled)

        async def watched(delivery: Delivery) -> Outcome:
            self.notes.append(f"{self.name}> {delivery.kind} {delivery.name}")
            outcome = await call(delivery)
            self.notes.append(f"{self.name}< {outcome.status.value} {type(outcome.error).__name__}")
            return outcome

        return watched

    def turn(self, call: TurnNext) -> TurnNext:
        async def watched(told: WorkflowTurn) -> Turn:
            self.turns.append(told)
            return await call(told)

        return watched

    @asynccontextmanager
    async def live(self) -> AsyncIterator[None]:
        self.notes.append(f"{self.name} begins")
        yield
        self.notes.append(f"{self.name} ends")


async def test_watchers_are_outside_of_interceptors() -> None:
    """The first watcher is the outermost, and interceptors are inside of all of them."""
    notes: list[str] = []

    async def interceptor(delivery: Delivery, call: Next) -> Outcome:
        notes.append("interceptor")
        return await call(delivery)

    watchers = [Notes("a", notes), Notes("b", notes)]
    app = DaprFlow(
        "shop", interceptors=[interceptor], observability=Observability(watchers=watchers)
    )

    @app.topic(ORDERS)
    async def on_order(order: Order) -> None:
        notes.append("handler")
        raise ValueError(order.id)

    async with TestSidecar(app) as dapr:
        assert await dapr.publish(ORDERS, Order("o1")) is Status.RETRY
    assert notes == [
        "a begins",
        "b begins",
        "a> topic pubsub/orders",
        "b> topic pubsub/orders",
        "interceptor",
        "handler",
        "b< RETRY ValueError",
        "a< RETRY ValueError",
        "b ends",
        "a ends",
    ]


class Told(Watch):
    """Writes down what it is told, and what it is given back."""

    def __init__(self, name: str, notes: list[str]) -> None:
        self.name = name
        self.notes = notes

    def begin(self, delivery: Delivery) -> str:
        self.notes.append(f"{self.name}> {delivery.name}")
        return self.name

    def end(self, held: str, delivery: Delivery, outcome: Outcome, seconds: float) -> None:
        self.notes.append(f"{held}< {outcome.status.value}")

    def failed(self, held: str, delivery: Delivery, error: BaseException, seconds: float) -> None:
        self.notes.append(f"{held}! {type(error).__name__}")


class Telling(Watcher):
    """Has a watch told of every handler."""

    def __init__(self, watch: Watch) -> None:
        self.told = watch

    def watch(self, handled: Handled) -> Watch:
        return self.told


@pytest.mark.parametrize("count", range(1, 8))
async def test_those_that_are_told_are_nested_like_others(count: int) -> None:
    """However many share a coroutine, the first begins first and ends last; others stay between."""
    notes: list[str] = []
    names = "abcdefg"[:count]
    watchers: list[Watcher] = [Telling(Told(each, notes)) for each in names]
    watchers.insert(1, Notes("|", notes))
    outcomes: list[Outcome | BaseException] = [SUCCESS, KeyboardInterrupt()]

    async def handle(delivery: Delivery) -> Outcome:
        found = outcomes.pop(0)
        if isinstance(found, BaseException):
            raise found
        return found

    call = around(Handled("topic", "a/b", "on", "on"), handle, watchers)
    delivery = Delivery("topic", "a/b", b"{}")
    assert await call(delivery) is SUCCESS
    order = [names[0], "|", *names[1:]]
    ends = [f"{each}< SUCCESS" + (" NoneType" if each == "|" else "") for each in reversed(order)]
    begins = [f"{each}> " + ("topic a/b" if each == "|" else "a/b") for each in order]
    assert notes == [*begins, *ends]
    notes.clear()
    with pytest.raises(KeyboardInterrupt):
        await call(delivery)
    fails = [f"{each}! KeyboardInterrupt" for each in reversed(order) if each != "|"]
    assert notes == [*begins, *fails]


async def test_every_handler_is_told_once() -> None:
    """A watcher is asked once for each handler, activities and actors included."""
    watcher = Notes()
    app = DaprFlow("shop", observability=Observability(watchers=[watcher]))

    @app.topic(ORDERS)
    async def on_order(order: Order) -> None: ...

    @app.invoke
    async def quote(order: Order) -> int:
        return 1

    @app.cron("sweep", "@every 1h")
    async def sweep() -> None: ...

    @app.job("report")
    async def report() -> None: ...

    @app.configuration("settings", "a", "b")
    async def on_items(item: str) -> None: ...

    @app.activity
    async def charge(order: Order) -> int:
        return 2

    async with TestSidecar(app, configuration={"settings": {}}):
        found = [(each.kind, each.name, each.handler) for each in watcher.handled]
    assert sorted(found) == [
        ("activity", "charge", "charge"),
        ("configuration", "settings/a", "on_items"),
        ("cron", "sweep", "sweep"),
        ("invoke", "quote", "quote"),
        ("job", "report", "report"),
        ("topic", "pubsub/orders", "on_order"),
    ]


async def test_turns_of_workflows_are_told_with_their_place() -> None:
    """Each turn is told once, with its workflow, its instance and what came before."""
    watcher = Notes()
    app = DaprFlow("shop", observability=Observability(watchers=[watcher]))

    @app.activity
    async def double(number: int) -> int:
        return 2 * number

    @app.workflow
    async def twice(ctx: WorkflowContext, number: int) -> int:
        return await ctx.call(double, await ctx.call(double, number))

    async with TestSidecar(app) as dapr:
        run = await dapr.start(twice, 3, id="w1")
        assert await run.result() == 12
    assert [(each.instance, each.name) for each in watcher.turns] == [("w1", "twice")] * 3
    numbers = [each.number for each in watcher.turns]
    assert numbers[0] == 0
    assert numbers == sorted(set(numbers))
    assert "> activity double" in watcher.notes


async def test_nothing_is_left_behind() -> None:
    """After a run, the app answers as it was compiled, and another run begins anew."""
    watcher = Notes()
    app = DaprFlow("shop", observability=Observability(watchers=[watcher]))

    @app.topic(ORDERS)
    async def on_order(order: Order, *, client: Client) -> None: ...

    for _ in range(2):
        async with TestSidecar(app) as dapr:
            assert await dapr.publish(ORDERS, Order("o1")) is Status.SUCCESS
    assert watcher.notes == 2 * [
        " begins",
        "> topic pubsub/orders",
        "< SUCCESS NoneType",
        " ends",
    ]


async def test_nobody_who_watches_costs_nothing() -> None:
    """Without watchers the table keeps the very endpoints that freezing made."""
    app = DaprFlow("shop", observability=Observability())

    @app.topic(ORDERS)
    async def on_order(order: Order) -> None: ...

    scope: dict[str, Any] = {"type": "http", "method": "POST", "headers": []}
    app.freeze()
    scope["path"] = app.table()[0].path
    before = app._table.find(scope)
    async with TestSidecar(app):
        assert app._table.find(scope) is before
