from datetime import timedelta

import msgspec

from daprflow import BulkPublishError, Client, DaprFlow, InvocationError, NotFound, Topic


class Order(msgspec.Struct):
    id: str
    customer: str


# events of one customer arrive in order, and none is kept for longer than a day
orders = Topic(
    "pubsub",
    "orders",
    Order,
    key=lambda order: order.customer,
    metadata={"ttlInSeconds": "86400"},
)

app = DaprFlow("shop")


@app.topic(orders, dead_letter="orders-dead")
async def on_order(order: Order) -> None:
    print("order", order.id)


@app.invoke
async def import_orders(given: list[Order], *, client: Client) -> list[str]:
    """Publish all of them; answer with the ids of those that the broker did not take."""
    try:
        await client.publish_many(orders, given, type="order.imported")
    except BulkPublishError as error:
        return [given[position].id for position in error.failed]
    return []


@app.invoke
async def stock(sku: str, *, client: Client) -> int:
    """Ask another app, whatever it is written in; it has 2 seconds, and may not know."""
    try:
        answer = await client.request(
            "warehouse",
            f"stock/{sku}",
            verb="GET",
            query={"unit": "piece"},
            timeout=timedelta(seconds=2),
        )
    except InvocationError as error:
        if error.status == 404:
            return 0
        raise
    return answer.json(int)


@app.invoke
async def setting(name: str, *, client: Client) -> str:
    """Read a secret with less patience than usual."""
    impatient = client.with_options(timeout=0.5, max_attempts=1)
    try:
        return await impatient.secret("vault", name)
    except NotFound as error:
        return f"none: {error.code}"


@app.invoke
async def size_of(path: str, *, client: Client) -> int:
    """Read something large piece by piece; it is never whole in memory."""
    async with client.stream("files", path, verb="GET") as response:
        return sum([len(chunk) async for chunk in response])
