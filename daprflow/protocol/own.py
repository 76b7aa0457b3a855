"""``/daprflow/…``: what the embedded sidecar is asked beside Dapr's API, by our own commands."""

from urllib.parse import quote

import msgspec

from daprflow.protocol.http import HttpRequest
from daprflow.protocol.operations import segment


class KeysPage(msgspec.Struct, frozen=True):
    """Keys of a state store, without the app's prefix; ``more`` tells of further ones."""

    keys: tuple[str, ...]
    more: bool = False


def list_state_keys(store: str, prefix: str, limit: int) -> HttpRequest:
    """Return the request that lists the keys of a store that begin with ``prefix``."""
    asked = f"prefix={quote(prefix, safe='')}&limit={limit}"
    return HttpRequest("GET", f"/daprflow/state/{segment(store)}?{asked}")
