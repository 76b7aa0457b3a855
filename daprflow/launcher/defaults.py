"""The resources of a run that names none, and those that an app declares in its code."""

from collections.abc import Iterable
from pathlib import Path

from daprflow.launcher.report import Cron, HandlerRow
from daprflow.protocol.resources import GENERATED, ComponentResource, MetadataItem

CONFIGURATION = "configstore"
FOLDERS = ("resources", "components")


def folders(named: tuple[Path, ...], beside: str) -> tuple[Path, ...]:
    """Return the resource folders: those named, else ``resources/`` or ``components/`` there."""
    if named:
        return named
    for name in FOLDERS:
        folder = Path(beside) / name
        if folder.is_dir():
            return (folder,)
    return ()


def durable(state_file: Path | None) -> tuple[ComponentResource, ...]:
    """Return what a run has that names no resources; None keeps its state in memory."""
    if state_file is None:
        store = _component("statestore", "state.in-memory", actorStateStore="true")
    else:
        store = _component(
            "statestore",
            "state.sqlite",
            connectionString=str(state_file),
            actorStateStore="true",
        )
    return (
        store,
        _component("pubsub", "pubsub.daprflow"),
        _component(CONFIGURATION, "configuration.daprflow"),
        _component("lockstore", "lock.daprflow"),
    )


def configuration_stores(
    handlers: Iterable[HandlerRow], existing: Iterable[ComponentResource]
) -> tuple[ComponentResource, ...]:
    """Return a built-in store for each one that handlers follow and that is not there."""
    named = {component.name for component in existing}
    followed = dict.fromkeys(
        handler.name.partition("/")[0] for handler in handlers if handler.kind == "configuration"
    )
    return tuple(
        _component(name, "configuration.daprflow") for name in followed if name not in named
    )


def for_daprd(state_file: Path) -> tuple[ComponentResource, ...]:
    """Return the same for a real runtime, which has no durable broker without a server."""
    return (
        _component(
            "statestore",
            "state.sqlite",
            connectionString=str(state_file),
            actorStateStore="true",
        ),
        _component("pubsub", "pubsub.in-memory"),
    )


def crons(
    declared: Iterable[Cron], existing: Iterable[ComponentResource]
) -> tuple[ComponentResource, ...]:
    """Return a ``bindings.cron`` for each schedule that no resource file configures."""
    named = {component.name for component in existing}
    return tuple(
        _component(cron.name, "bindings.cron", schedule=cron.schedule, direction="input")
        for cron in declared
        if cron.name not in named
    )


def _component(name: str, kind: str, /, **metadata: str) -> ComponentResource:
    items = tuple(MetadataItem(key, value) for key, value in metadata.items())
    return ComponentResource(name, kind, metadata=items, source=GENERATED)
