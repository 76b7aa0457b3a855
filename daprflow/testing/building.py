"""Starts what a test needs, each part with its end."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from daprflow.sidecar.engine import Engine
from daprflow.testing.fakes import FakeApp
from daprflow.testing.hosting import host_app
from daprflow.testing.interleaving import Conductor
from daprflow.testing.peers import Peers
from daprflow.testing.settling import Settling
from daprflow.testing.stage import Hosted, Plan, Stage, World


async def build(plan: Plan, fakes: Mapping[str, FakeApp], stack: AsyncExitStack) -> Stage:
    """Start everything, each with its end on ``stack``: outbound calls work before an app starts.

    Raises:
        Exception: whatever an app's lifespan raises.
    """
    folder = Path()
    if plan.secrets:
        folder = Path(stack.enter_context(TemporaryDirectory()))
    engine = Engine(plan.clock, None, Path.cwd())
    engine.placement.patience = 0.0  # nobody else comes, and the clock stands still
    plan.faults.work = engine.work
    stack.push_async_callback(engine.close)
    doors = None
    if plan.sockets:
        from daprflow.testing import sockets  # noqa: PLC0415 - it needs aiohttp and uvicorn

        doors = await sockets.doors(stack)
    peers = Peers(engine)
    stack.push_async_callback(peers.close)  # the apps' own sidecars are closed before
    conductor = None
    if plan.seed is not None:
        conductor = await stack.enter_async_context(Conductor(plan.seed))
    world = World(plan, engine, folder, doors, peers, Settling(plan.clock, engine.work))
    for app_id, fake in fakes.items():
        peers.join(app_id, fake, plan.faults)
    hosted: dict[str, Hosted] = {}
    for app in (*plan.peers, plan.app):
        hosted[app.app_id] = await host_app(world, app, stack)
    stage = Stage(hosted[plan.app.app_id], hosted, world.settling, peers, conductor)
    await stage.settle()
    if conductor is not None:  # what starts everything has one order
        plan.faults.turn = conductor.turn
        stack.callback(setattr, plan.faults, "turn", None)
    return stage
