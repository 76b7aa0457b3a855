"""An app that says how it is, and tells somebody when that changes."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import msgspec

from daprflow import Client, DaprFlow, Topic
from daprflow.health import HealthChange, HealthSettings


class Order(msgspec.Struct):
    id: str
    total: int


@dataclass
class Warehouse:
    """A connection to a service that is somewhere else."""

    open: bool = True

    async def ping(self) -> bool:
        """Say whether it can be used; daprflow asks for it, since it is called so."""
        return self.open


@dataclass
class Pager:
    """Where alerts go."""

    sent: list[str] = field(default_factory=list)


orders = Topic("pubsub", "orders", Order)
pager = Pager()
app = DaprFlow("health-example", health=HealthSettings(check_every=2, drain=5))


@app.provide
async def warehouse() -> AsyncIterator[Warehouse]:
    yield Warehouse()


@app.on_health
async def alert(change: HealthChange) -> None:
    causes = ", ".join(f"{each.part} {each.name}: {each.reason}" for each in change.report.causes)
    pager.sent.append(f"{change.before} -> {change.status} {causes}".rstrip())
    print(pager.sent[-1])


@app.topic(orders, dead_letter="orders-dead")
async def on_order(order: Order, *, warehouse: Warehouse, client: Client) -> None:
    await client.state("statestore").set(order.id, order.total)


@app.invoke
async def close_warehouse(*, warehouse: Warehouse) -> None:
    warehouse.open = False


@app.invoke
async def stores(*, client: Client) -> dict[str, str]:
    """How each component is, as code sees it."""
    report = await client.health()
    return {each.name: each.status for each in report.parts if each.part == "component"}
