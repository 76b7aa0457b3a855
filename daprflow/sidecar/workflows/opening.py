"""Loads the workflow engine, which nothing but its first user waits for."""

import asyncio
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from daprflow.sidecar.engine_file import EngineDatabase, EngineFile
from daprflow.sidecar.sqlite import MEMORY

if TYPE_CHECKING:
    from daprflow.sidecar.engine import Engine
    from daprflow.sidecar.workflows.hub import WorkflowHub


async def open_hub(engine: "Engine") -> "WorkflowHub":
    """Return the workflows of an engine, with what is kept of them.

    Raises:
        ComponentError: that cannot be read.
    """
    await asyncio.to_thread(import_module, "daprflow.sidecar.workflows.hub")
    from daprflow.sidecar.workflows.hub import WorkflowHub  # noqa: PLC0415 - it is loaded now
    from daprflow.sidecar.workflows.store import WorkflowStore  # noqa: PLC0415 - likewise

    database = engine.database or EngineDatabase(Path(MEMORY))
    hub = WorkflowHub(engine.clock, engine.work, WorkflowStore(EngineFile(database)))
    await hub.open()
    return hub
