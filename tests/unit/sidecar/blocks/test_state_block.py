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
