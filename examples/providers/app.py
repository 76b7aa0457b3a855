"""What handlers ask for by type: one value for the whole app, and one for every call."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import dataclass

import msgspec

from daprflow import Client, DaprFlow, Topic


class Order(msgspec.Struct):
    id: str
    total: int


@dataclass
class Prices:
    """Read once, kept while the app runs."""

    vat: int


@dataclass
class Transaction:
    """One for every call: committed when the handler returns, rolled back when it raises."""

    connection: sqlite3.Connection


orders = Topic("pubsub", "orders", Order)
app = DaprFlow("providers-example")


@app.provide
async def prices(client: Client) -> Prices:
    item = await client.state("statestore").get("vat", int)
    return Prices(vat=item.value if item else 19)


@app.provide
def database() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", check_same_thread=False)) as connection:
        connection.execute("create table orders (id text primary key, total int)")
        yield connection


@app.provide(scope="call")
async def transaction(connection: sqlite3.Connection) -> AsyncIterator[Transaction]:
    with connection:  # commits, or rolls back what the handler had done before it failed
        yield Transaction(connection)


@app.topic(orders, dead_letter="orders-dead")
async def save(order: Order, *, within: Transaction, prices: Prices) -> None:
    total = order.total * (100 + prices.vat) // 100
    within.connection.execute("insert or ignore into orders values (?, ?)", (order.id, total))
    if total < 0:
        raise ValueError("a negative total")
    print(f"saved {order.id}: {total}")


@app.invoke
async def total(*, connection: sqlite3.Connection) -> int:
    (found,) = connection.execute("select coalesce(sum(total), 0) from orders").fetchone()
    return int(found)
