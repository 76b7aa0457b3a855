"""A sidecar in a process of its own whose workflows are in a state store of the user's.

Its folder and its port are arguments.
"""

import asyncio
import sys
from pathlib import Path

from daprflow.sidecar.clock import SystemClock
from daprflow.sidecar.engine import Engine
from daprflow.sidecar.grpc_api.server import GrpcServer
from daprflow.sidecar.options import RuntimeOptions
from daprflow.sidecar.runtime import Runtime
from tests.helpers.sidecar import Components, resources

STORE: Components = {
    "statestore": ("state.sqlite", {"connectionString": "user.db", "actorStateStore": "true"})
}


async def _serve(folder: str, port: str) -> None:
    engine = Engine(SystemClock(), Path(folder), Path(folder))
    runtime = Runtime(engine, RuntimeOptions("app1"), resources(STORE), None)
    await runtime.open()
    await GrpcServer(runtime).start(int(port))
    sys.stdout.write("up\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(*sys.argv[1:]))
