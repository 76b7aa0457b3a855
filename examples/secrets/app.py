"""A shop that signs receipts with a key of a secret store, and whose database's address is one."""

import hmac
from dataclasses import dataclass

import msgspec
from starlette.exceptions import HTTPException

from daprflow import Client, DaprFlow, SecretNotFound
from daprflow.observability import Secret


class Payment(msgspec.Struct):
    order: str
    cents: int


class Receipt(msgspec.Struct):
    order: str
    signature: str


@dataclass(frozen=True)
class Signer:
    key: Secret

    def sign(self, payment: Payment) -> Receipt:
        text = f"{payment.order}:{payment.cents}"
        digest = hmac.new(self.key.reveal().encode(), text.encode(), "sha256")
        return Receipt(payment.order, digest.hexdigest()[:16])


app = DaprFlow("secrets-example")


# --8<-- [start:provider]
@app.provide
async def signer(client: Client) -> Signer:
    """Read the key once, at the start: an app that cannot have it does not start."""
    return Signer(Secret(await client.secret("vault", "signing-key")))


@app.invoke
async def pay(payment: Payment, *, signer: Signer, client: Client) -> Receipt:
    receipt = signer.sign(payment)
    await client.state("ledger").set(payment.order, payment.cents)
    print(f"paid {payment.order} with {signer}", flush=True)  # shows no key
    return receipt


# --8<-- [end:provider]


# --8<-- [start:each]
@app.invoke("POST", "/partners/{partner}/token")
async def partner_token(*, partner: str, client: Client) -> str:
    """Read a secret with each call: what the vault says at that moment counts."""
    try:
        token = await client.secret("vault", f"partner-{partner}")
    except SecretNotFound:
        raise HTTPException(404, f"no partner '{partner}'") from None
    return hmac.new(token.encode(), b"today", "sha256").hexdigest()[:16]


# --8<-- [end:each]
