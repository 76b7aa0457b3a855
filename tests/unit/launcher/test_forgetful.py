"""What a run says of brokers that forget an event which fails."""

from pathlib import Path

import pytest

from daprflow.launcher.folder import DataFolder
from daprflow.launcher.host import EngineHost
from daprflow.launcher.membership import enter
from daprflow.launcher.options import SidecarOptions, Tokens
from daprflow.launcher.sidecar import AppSpec

pytestmark = pytest.mark.sockets

BROKER = """
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {{ name: pubsub }}
spec: {{ type: {kind}, version: v1 }}
"""


async def notes_of(folder: Path, kind: str, *stand_in: str) -> tuple[str, ...]:
    """What the banner of a run with such a broker adds."""
    resources = folder / "resources"
    resources.mkdir()
    (resources / "pubsub.yaml").write_text(BROKER.format(kind=kind), encoding="utf-8")
    options = SidecarOptions(ephemeral=True, resources_path=(resources,), stand_in=stand_in)
    host = await enter(DataFolder(folder / ".daprflow"), options, folder, lambda _: None)
    assert isinstance(host, EngineHost)
    try:
        sidecar = host.sidecar(Tokens(), "")
        await sidecar.start(AppSpec("shop", None, str(folder)))
        notes = sidecar.info().notes
        await sidecar.close(1.0)
    finally:
        await host.close()
    return notes


async def test_a_broker_that_forgets_is_told(tmp_path: Path) -> None:
    """Whoever names one reads in the banner what it does with a failed event."""
    (note,) = await notes_of(tmp_path, "pubsub.in-memory")
    assert note.endswith("a failed event is gone")


async def test_what_stands_in_for_it_does_not_forget(tmp_path: Path) -> None:
    """The durable broker in its place keeps events, so nothing is said."""
    assert await notes_of(tmp_path, "pubsub.redis", "pubsub.redis") == ()
