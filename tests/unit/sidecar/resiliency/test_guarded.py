"""A component under a policy: what it can do stays visible."""

import inspect
from pathlib import Path

from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.components.base import ListingStore, QueryingStore
from daprflow.sidecar.components.state_querying import QueryingInMemoryState
from daprflow.sidecar.resiliency.guard import Guarded
from tests.helpers.components import context


def test_what_a_store_can_do_besides_is_seen_through_its_guard(tmp_path: Path) -> None:
    """A guarded store lists keys and is searched, whether isinstance looks statically or not."""
    store = QueryingInMemoryState(context(tmp_path, VirtualClock(), "state.in-memory"))
    guarded = Guarded("state", store)
    assert isinstance(guarded, ListingStore)
    assert isinstance(guarded, QueryingStore)
    for name in ("keys", "query"):
        assert inspect.getattr_static(guarded, name) == getattr(store, name)
