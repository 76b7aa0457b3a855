"""The resources of a run that names none: a state store, a broker, and the declared crons."""

from collections.abc import Iterable
from pathlib import Path

from daprflow.launcher.report import Cron
from daprflow.protocol.resources import ComponentResource, MetadataItem

FOLDERS = ("resources", "components")
GENERATED = "made by daprflow"


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
    """Return the default ``statestore`` and ``pubsub``; None keeps both in memory."""
    if state_file is None:
        return (
            _component("statestore", "state.in-memory"),
            _component("pubsub", "pubsub.daprflow"),
        )
    return (
        _component("statestore", "state.sqlite", connectionString=str(state_file)),
        _component("pubsub", "pubsub.daprflow"),
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
