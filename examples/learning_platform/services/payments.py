"""Wallets: a charge and its receipt are one transaction, so that no order is charged twice."""

import hashlib
import hmac
from dataclasses import dataclass

from daprflow import Client, DaprFlow
from daprflow.client import Upsert

from .contracts import STORE, Bill, Receipt

app = DaprFlow("payments")

WELCOME = 100
"""What a new student has."""


class DeclinedError(Exception):
    """The wallet has less than the bill."""


@dataclass(frozen=True, slots=True)
class Signer:
    key: bytes

    def sign(self, bill: Bill) -> str:
        """Return what proves that a receipt is ours."""
        text = f"{bill.order}:{bill.amount}".encode()
        return hmac.new(self.key, text, hashlib.sha256).hexdigest()


@app.provide
async def signer(client: Client) -> Signer:
    return Signer((await client.secret("vault", "receipts-key")).encode())


# --8<-- [start:charge]
@app.activity
async def charge(bill: Bill, *, client: Client, signer: Signer) -> Receipt:
    store = client.state(STORE)
    if (known := await store.get(f"receipt:{bill.order}", Receipt)) is not None:
        return known.value  # an activity runs at least once
    wallet = await store.get(f"wallet:{bill.student}", int)
    left = (wallet.value if wallet else WELCOME) - bill.amount
    if left < 0:
        raise DeclinedError("the wallet has less than that")
    receipt = Receipt(bill.order, bill.amount, signer.sign(bill))
    await store.transaction(
        Upsert(f"receipt:{bill.order}", receipt, concurrency="first-write"),
        Upsert(
            f"wallet:{bill.student}",
            left,
            etag=wallet.etag if wallet else None,
            concurrency="first-write",
        ),
    )
    return receipt


# --8<-- [end:charge]


@app.activity
async def refund(bill: Bill, *, client: Client) -> None:
    store, key = client.state(STORE), f"receipt:{bill.order}"
    receipt = await store.get(key, Receipt)
    if receipt is None:  # nothing was taken: a charge that comes late finds this, and takes nothing
        nothing = Receipt(bill.order, 0, "", refunded=True)
        await store.transaction(Upsert(key, nothing, concurrency="first-write"))
        return
    wallet = await store.get(f"wallet:{bill.student}", int)
    if wallet is None or receipt.value.refunded:
        return  # it was given back
    receipt.value.refunded = True
    await store.transaction(
        Upsert(key, receipt.value, etag=receipt.etag),
        Upsert(f"wallet:{bill.student}", wallet.value + receipt.value.amount, etag=wallet.etag),
    )


@app.invoke
async def balance(student: str, *, client: Client) -> int:
    wallet = await client.state(STORE).get(f"wallet:{student}", int)
    return wallet.value if wallet else WELCOME
