"""Key prefixes of the state block (S-12): two apps on one store never read each other's keys."""

from pathlib import Path

import pytest

from daprflow.protocol.fault import Fault
from daprflow.protocol.resources import ComponentResource, MetadataItem
from daprflow.sidecar.blocks.state import StateChange, key_prefix
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.components.base import ComponentError
from daprflow.sidecar.engine import Engine
from daprflow.sidecar.options import RuntimeOptions
from daprflow.sidecar.resources import Resources
from daprflow.sidecar.runtime import Runtime
from tests.helpers.components import context


async def two_apps(root: Path, strategy: str) -> tuple[Runtime, Runtime]:
    """Open the sidecars of ``a`` and ``b`` on one store."""
    engine = Engine(VirtualClock(), None, root)
    metadata = (MetadataItem("keyPrefix", strategy),) if strategy else ()
    store = ComponentResource("s", "state.in-memory", metadata=metadata)
    runtimes = [
        Runtime(engine, RuntimeOptions(app_id), Resources((store,)), None) for app_id in ("a", "b")
    ]
    for runtime in runtimes:
        await runtime.open()
    return runtimes[0], runtimes[1]


@pytest.mark.row("S-12")
@pytest.mark.parametrize("strategy", ["", "appid", "APPID", "namespace"])
async def test_apps_keep_to_themselves(tmp_path: Path, strategy: str) -> None:
    """With a prefix by app the same key is another value for each."""
    one, two = await two_apps(tmp_path, strategy)
    await one.state.save("s", [StateChange("k", b"1")])
    assert await two.state.get("s", "k") is None
    await one.engine.close()


@pytest.mark.parametrize("strategy", ["name", "none", "shared"])
async def test_apps_that_share(tmp_path: Path, strategy: str) -> None:
    """With a prefix that names no app both see one value."""
    one, two = await two_apps(tmp_path, strategy)
    await one.state.save("s", [StateChange("k", b"1")])
    found = await two.state.get("s", "k")
    assert found is not None
    assert found.data == b"1"
    await one.engine.close()


@pytest.mark.row("I-ST", "S-12")
@pytest.mark.parametrize("strategy", ["", "none", "name"])
@pytest.mark.parametrize("key", ["a||k", "||", "b||a||k", "|||"])
async def test_no_key_holds_the_separator(tmp_path: Path, strategy: str, key: str) -> None:
    """A key with the separator is refused in every call, whatever the prefix."""
    one, two = await two_apps(tmp_path, strategy)
    change = StateChange(key, b"1")
    for call in (
        one.state.get("s", key),
        one.state.get_many("s", ["ok", key]),
        one.state.save("s", [StateChange("ok", b"1"), change]),
        one.state.delete("s", StateChange(key, None)),
        one.state.transact("s", [change]),
    ):
        with pytest.raises(Fault, match="can't contain"):
            await call
    assert await two.state.get("s", "ok") is None
    await one.engine.close()


@pytest.mark.row("S-12")
@pytest.mark.parametrize(
    ("strategy", "prefix"),
    [
        ("", "app||"),
        ("appid", "app||"),
        ("name", "it||"),
        ("none", ""),
        ("namespace", "ns.app||"),
        ("Other", "other||"),
    ],
)
def test_prefixes(tmp_path: Path, strategy: str, prefix: str) -> None:
    """Each strategy gives the prefix that the real runtime writes."""
    made_from = context(tmp_path, VirtualClock(), "state.in-memory", keyPrefix=strategy)
    assert key_prefix(made_from, "app", "ns") == prefix


def test_a_prefix_with_the_separator(tmp_path: Path) -> None:
    """A prefix that holds the separator stops the start; the error names the component."""
    made_from = context(tmp_path, VirtualClock(), "state.in-memory", keyPrefix="a||b")
    with pytest.raises(ComponentError, match="component 'it'"):
        key_prefix(made_from, "app", "")
    without = context(tmp_path, VirtualClock(), "state.in-memory", keyPrefix="namespace")
    assert key_prefix(without, "app", "") == "app||"


async def saving(root: Path, *changes: StateChange) -> Fault:
    """Return how a save of several changes fails; each is done for itself."""
    one, _ = await two_apps(root, "")
    with pytest.raises(Fault) as raised:
        await one.state.save("s", changes)
    for change in changes:
        found = await one.state.get("s", change.key)
        sound = change.etag is None and not change.metadata
        assert (found is not None) is sound
    await one.engine.close()
    return raised.value


MISMATCH = "possible etag mismatch. error from state store"
STALE = StateChange("a", b"1", "7")
WRONG = StateChange("b", b"1", metadata={"ttlInSeconds": "x"})
SOUND = StateChange("c", b"1")


async def test_several_changes_that_met_other_etags(tmp_path: Path) -> None:
    """Where all failures are about ETags, that is said of the whole, too."""
    found = await saving(tmp_path, STALE, SOUND)
    text = f"{MISMATCH}: {MISMATCH}: state not exist or expired for key=a||a"
    assert found.status == 409
    assert found.message == f"failed saving state in state store s: {text}"


async def test_several_changes_that_failed_in_several_ways(tmp_path: Path) -> None:
    """Among other failures it is said of the change alone, but makes the status."""
    found = await saving(tmp_path, STALE, WRONG, SOUND)
    text = f"{MISMATCH}: state not exist or expired for key=a||a\n"
    text += 'strconv.Atoi: parsing "x": invalid syntax'
    assert found.status == 409
    assert found.message == f"failed saving state in state store s: {text}"


async def test_several_changes_that_failed_otherwise(tmp_path: Path) -> None:
    """Failures that are not about ETags are internal."""
    found = await saving(tmp_path, WRONG, SOUND)
    assert found.status == 500


async def test_a_single_delete_of_many(tmp_path: Path) -> None:
    """A single delete is done as one, and its failure is named once."""
    one, _ = await two_apps(tmp_path, "")
    with pytest.raises(Fault) as raised:
        await one.state.delete_many("s", [StateChange("a", None, "7")])
    text = f"{MISMATCH}: state not exist or expired for key=a||a"
    assert raised.value.message == f"failed deleting state in state store s: {text}"
    await one.engine.close()
