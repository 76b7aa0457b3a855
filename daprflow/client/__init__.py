"""Typed calls of a sidecar's building blocks."""

from daprflow.client.client import Client
from daprflow.client.state import Item, Store

__all__ = ["Client", "Item", "Store"]
