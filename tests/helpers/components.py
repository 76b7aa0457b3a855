"""Makes single components, without a sidecar around them."""

from pathlib import Path

from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.components.base import ComponentContext


def context(root: Path, clock: VirtualClock, kind: str, **metadata: str) -> ComponentContext:
    """Return what a component called ``it`` of one type is made from."""
    lower = {name.lower(): value for name, value in metadata.items()}
    return ComponentContext(
        name="it",
        type=kind,
        version="v1",
        metadata=lower,
        app_id="app1",
        clock=clock,
        data_dir=None,
        base_dir=root,
    )
