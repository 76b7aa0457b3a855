"""Random workflows of the official SDK's worker, beside the embedded sidecar and a real one."""

import asyncio
import random
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from daprflow import Client, Workflow, WorkflowFailed
from daprflow.settings import Settings
from tests.helpers import workflow_scripts
from tests.helpers.cli_run import Run
from tests.helpers.own_ports import free_port
from tests.helpers.real_runtime import home_of, services
from tests.helpers.workflow_scripts import FAILED, made, outcome

ROOT = Path(__file__).parents[2]
TOKEN = "token-of-this-test"
SCRIPT = Workflow("scripts", "run_script", list[Any], Any)
SEEDS = 40
AT_ONCE = 10

pytestmark = pytest.mark.sockets


@asynccontextmanager
async def worker(folder: Path, *words: str, **env: str) -> AsyncIterator[Client]:
    """Run the worker and its sidecar; give a client."""
    http, grpc = free_port(), free_port()
    ports = ("--dapr-http-port", str(http), "--dapr-grpc-port", str(grpc))
    command = (sys.executable, workflow_scripts.__file__)
    settings = Settings(
        http_endpoint=f"http://127.0.0.1:{http}",
        grpc_endpoint=f"127.0.0.1:{grpc}",
        api_token=env.get("DAPR_API_TOKEN", ""),
    )
    app = ("run", "--app-id", "scripts", *ports, *words)
    with Run(folder, *app, "--", *command, env={"PYTHONPATH": str(ROOT), **env}) as run:
        await asyncio.to_thread(run.until, "works")
        async with Client(settings) as client:
            yield client


async def differing(client: Client, seeds: Sequence[int]) -> list[int]:
    """Return the seeds whose workflow ends differently from what its script says."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def fits(seed: int) -> bool:
        script = made(random.Random(seed))  # noqa: S311 - it must repeat itself
        async with turns:
            run = await client.start(SCRIPT, script, id=f"seed-{seed}")
            result: Any
            try:
                result = await run.result(timedelta(seconds=60))
            except WorkflowFailed:
                result = FAILED
            return (result, (await run.status()).custom_status) == outcome(script)

    fitting = await asyncio.gather(*(fits(seed) for seed in seeds))
    return [seed for seed, fits_it in zip(seeds, fitting, strict=True) if not fits_it]


async def test_embedded(tmp_path: Path) -> None:
    """Each ends as its script says."""
    async with worker(tmp_path, "--sidecar", "embedded") as client:
        assert await differing(client, range(SEEDS)) == []


async def test_real_runtime(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Each ends as its script says, beside a real runtime, where ``--dapr-runtime`` names one."""
    home = home_of(request.config)
    with services(home, tmp_path) as beside:
        env = {"DAPR_RUNTIME_PATH": str(home), "DAPR_API_TOKEN": TOKEN}
        async with worker(tmp_path, "--sidecar", "daprd", *beside.flags, **env) as client:
            assert await differing(client, range(SEEDS)) == []
