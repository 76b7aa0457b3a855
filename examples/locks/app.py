"""Let one caller at a time do something: a lock, one that waits, and one that is renewed."""

# --8<-- [start:once]
from datetime import timedelta

from daprflow import Client, DaprFlow, LockTaken

app = DaprFlow("billing")
sent: list[str] = []


@app.invoke
async def send_invoice(number: str, *, client: Client) -> bool:
    """Send an invoice, unless somebody is sending it already."""
    try:
        async with client.lock("lockstore", f"invoice-{number}"):
            sent.append(number)
            return True
    except LockTaken:
        return False


# --8<-- [end:once]


# --8<-- [start:wait]
@app.invoke
async def book(amount: int, *, client: Client) -> None:
    """Wait for whoever books at the moment; be done, or be cancelled, within ten seconds."""
    lock = client.lock(
        "lockstore", "ledger", expiry=timedelta(seconds=10), wait=timedelta(minutes=1)
    )
    async with lock as held:
        print(f"booking {amount}, {held.remaining} left")


# --8<-- [end:wait]


# --8<-- [start:renew]
@app.invoke
async def close_month(*, client: Client) -> int:
    """Take as long as it takes; every replica that closes the month takes the lock this way."""
    async with client.lock("lockstore", "month", renew=True):
        return len(sent)


# --8<-- [end:renew]
