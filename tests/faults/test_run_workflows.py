"""Workflows of a running service whose code is changed while they run."""

import signal
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from tests.helpers.cli_run import Run, write

pytestmark = pytest.mark.sockets

APP = """
import asyncio

from daprflow import DaprFlow, ExternalEvent, WorkflowContext, WorkflowSettings

app = DaprFlow("shop", workflows=WorkflowSettings(drain=0.1))
go = ExternalEvent("go", str)


@app.activity
async def note(text: str) -> None:
    print(f"old {text}", flush=True)


@app.activity
async def slow() -> None:
    print("begun", flush=True)
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        print("cut off", flush=True)
        raise


@app.workflow
async def flow(ctx: WorkflowContext) -> None:
    await ctx.call(note, "start")
    await ctx.call(slow)
    await ctx.call(note, await ctx.wait(go))
"""
LATER = APP.replace("old", "new").replace("await asyncio.Event().wait()", "return")


def post(run: Run, path: str, body: bytes = b"") -> None:
    """Call the workflows of a run."""
    url = f"http://127.0.0.1:{run.port('Dapr HTTP')}/v1.0/workflows/dapr/{path}"
    with urlopen(Request(url, body, {"content-type": "application/json"}), timeout=20):
        pass


def test_a_workflow_goes_on_over_a_reload(tmp_path: Path) -> None:
    """What was done stays done; an activity that does not end is cancelled, and runs again."""
    write(tmp_path, {"app.py": APP})
    with Run(tmp_path, "run", "--reload", "app.py") as run:
        run.ready()
        post(run, "flow/start?instanceID=w1")
        run.until("begun")
        write(tmp_path, {"app.py": LATER})
        run.until("cut off")
        run.until("reloaded in")
        post(run, "w1/raiseEvent/go", b'"end"')
        run.until("new end")
        run.send(signal.SIGINT)
        assert run.ended() == 0
        assert [line for line in run.lines if line.endswith(" start")] == ["old start"]
