"""Buys something: a script that has tokens for the shop, and runs beside a sidecar."""

import os

import msgspec

from daprflow import Endpoint, SyncClient
from daprflow.middleware import ClientCredentials


class Order(msgspec.Struct):
    sku: str
    pieces: int


class Bill(msgspec.Struct):
    buyer: str
    total: int


buy = Endpoint("shop", "buy", Order, Bill)


def tokens(issuer: str, scope: str = "orders:write", target: str = "shop") -> ClientCredentials:
    return ClientCredentials(
        f"{issuer}/token",
        "till",
        os.environ.get("TILL_SECRET", "till-secret"),
        targets=[target],
        scopes=[scope],
        audience="shop",
    )


def main() -> None:
    issuer = os.environ.get("ISSUER", "http://localhost:8099")
    with SyncClient(interceptors=[tokens(issuer)]) as client:
        print(client.invoke(buy, Order("tea", 3)))


if __name__ == "__main__":
    main()
