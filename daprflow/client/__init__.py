"""Typed calls of a sidecar's building blocks."""

from daprflow.client.client import Client
from daprflow.client.state import Item, Items, Records, Store
from daprflow.client.state_search import Page, ascending, descending
from daprflow.client.state_writes import Delete, Upsert
from daprflow.protocol.queries import AND, EQ, GT, GTE, IN, LT, LTE, NEQ, OR, Sorting

__all__ = [
    "AND",
    "EQ",
    "GT",
    "GTE",
    "IN",
    "LT",
    "LTE",
    "NEQ",
    "OR",
    "Client",
    "Delete",
    "Item",
    "Items",
    "Page",
    "Records",
    "Sorting",
    "Store",
    "Upsert",
    "ascending",
    "descending",
]
