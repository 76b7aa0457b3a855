"""Takes orders, asks another service for the price, and publishes a bill."""

from daprflow import Client, DaprFlow

from .contracts import Bill, Order, bills, price

app = DaprFlow("shop")


@app.invoke
async def order(order: Order, *, client: Client) -> Bill:
    bill = Bill(order.id, await client.invoke(price, order))
    await client.publish(bills, bill)
    return bill
