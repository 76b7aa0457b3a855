"""A sidecar in a process of its own, for workflows: its folder and its port are arguments."""

import asyncio
import sys
from pathlib import Path

from daprflow.sidecar.clock import SystemClock
from daprflow.sidecar.engine import Engine
from daprflow.sidecar.grpc_api.server import GrpcServer
from daprflow.sidecar.options import RuntimeOptions
from daprflow.sidecar.resources import Resources
from daprflow.sidecar.runtime import Runtime


async def _serve(folder: str, port: str) -> None:
    engine = Engine(SystemClock(), Path(folder), Path(folder))
    runtime = Runtime(engine, RuntimeOptions("app1"), Resources(), None)
    await runtime.open()
    await GrpcServer(runtime).start(int(port))
    sys.stdout.write("up\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(*sys.argv[1:]))
