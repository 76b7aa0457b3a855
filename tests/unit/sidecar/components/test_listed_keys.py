"""State stores that tell which keys they have, by how those begin and end."""

from pathlib import Path

import pytest

from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.components.base import ListingStore, StateWrite
from tests.helpers.workflow_homes import ENGINE, HOMES, workflow_home

PREFIX = r"a*?[b-c]%_\||"
SUFFIX = r"||m%_*\d"


@pytest.mark.row("S-13")
@pytest.mark.parametrize("kind", [home for home in HOMES if home != ENGINE])
async def test_keys_by_prefix_and_suffix(kind: str, tmp_path: Path) -> None:
    """Characters that patterns are made of stand for themselves, and capitals are others."""
    clock = VirtualClock(1_700_000_000.0)
    async with workflow_home(kind, tmp_path, clock) as store:
        assert store is not None
        assert isinstance(store, ListingStore)
        wanted = [f"{PREFIX}{name}{SUFFIX}" for name in ("1", "ü", "%", "a||b")]
        others = [
            f"{PREFIX}1||m",
            f"x{PREFIX}1{SUFFIX}",
            f"aa[b-c]%_\\||1{SUFFIX}",
            f"{PREFIX.upper()}1{SUFFIX}",
            f"{PREFIX}1{SUFFIX.upper()}",
        ]
        await store.transact([StateWrite(key, b"1") for key in (*wanted, *others)])
        assert sorted(await store.keys(PREFIX, SUFFIX)) == sorted(wanted)
        assert not await store.keys("nothing", SUFFIX)
