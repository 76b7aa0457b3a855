"""Sends each bill to whoever has to pay it."""

from daprflow import DaprFlow

from .contracts import Bill, bills

app = DaprFlow("mail")


@app.topic(bills, dead_letter="unreadable-bills")
async def send(bill: Bill) -> None:
    print(f"to the buyer of {bill.order}: {bill.total}", flush=True)
