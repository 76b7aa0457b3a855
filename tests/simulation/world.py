"""The world of a simulation: whatever happens next, to whom, and what goes wrong, by one seed."""

import asyncio
import random
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from daprflow.handlers.handler import Delivery, Outcome
from daprflow.protocol import workflow_messages as wf
from daprflow.transports.grpc import AioRpcError
from tests.simulation.code import workflows_of
from tests.simulation.disk import new_image
from tests.simulation.grammar import OWN, Scenario, Task, value_of
from tests.simulation.ledger import Ledger
from tests.simulation.model import Wrong
from tests.simulation.sides import Failing, Final, Link, Sidecar, WorkerLife
from tests.simulation.wire import Answering, Channel, StreamCall, lost

START = 1_700_000_000.0
IMAGE = new_image()
_ONCE = frozenset({"StartInstance", "SuspendInstance"})
"""Calls that mean something else when they come again later."""
LONGEST = 20_000
"""Steps after which a run goes round in circles."""


@dataclass(frozen=True, slots=True)
class Move:
    """Something that can happen next, once."""

    name: str
    act: Callable[[], None]


class World:
    """Everything around the engine and the worker.

    Args:
        scenario: what is run.
        chance: decides everything else.
        quiet: called when nothing can happen any more; returns whether that is the end.

    Attributes:
        time: seconds since the epoch.
        trace: what happened, step by step.
        cuts: the steps at which something went wrong.
        lingering: whether something went wrong whose effect came later, for a while.
        moves: what can happen next.
        ledger: what is committed.
        executed: the steps at which each attempt of an activity began.
    """

    def __init__(
        self, scenario: Scenario, chance: random.Random, quiet: Callable[[], bool]
    ) -> None:
        self.scenario = scenario
        self.chance = chance
        self.time = START
        self.trace: list[str] = []
        self.cuts: list[int] = []
        self.moves: list[Move] = []
        self.links: list[Link] = []
        self.workers: list[WorkerLife] = []
        self.lives: list[WorkerLife] = []
        self.ledger = Ledger(self._given)
        self.executed: dict[tuple[str, str, int], list[int]] = {}
        self.budget = 0 if scenario.calm else chance.randint(1, 5)
        self.changed = False
        self.problem: Wrong | None = None
        self.lingering = False
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.sidecar = Sidecar(IMAGE, self.time, self._reply)
        self._unburied = {self.sidecar}
        self._quiet = quiet
        self._attempts: dict[str, list[int]] = {}
        self._sent: dict[tuple[str, str], bytes] = {}
        self._background: dict[asyncio.Task[None], None] = {}
        for app in scenario.apps:
            for _ in range(scenario.workers if app == OWN else 1):
                self.move("a worker comes", lambda app=app: self._employ(app))  # type: ignore[misc]

    def move(self, name: str, act: Callable[[], None]) -> None:
        """Let something happen at some time."""
        self.moves.append(Move(name, act))

    def go(self, work: Any) -> "asyncio.Task[None]":
        """Do something beside everything else."""
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._background[task] = None
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._background.pop(task, None)
        if (
            not task.cancelled()
            and (error := task.exception()) is not None
            and not self.over.done()
        ):
            self.over.set_exception(error)

    # ---- the scheduler --------------------------------------------------------------------------

    def happen(self, until: float | None) -> None:
        """Do the next thing.

        Args:
            until: seconds until the loop itself has something to do; None for never.
        """
        if len(self.trace) > LONGEST:
            raise Wrong("it does not come to an end")
        if self.sidecar.problem is not None:
            raise self.sidecar.problem
        chance, writer = self.chance, self.sidecar.writer
        durable = bool(writer.jobs or writer.told)
        if self.budget and chance.random() < (0.08 if durable else 0.02):
            self._go_wrong()
            return
        due = self._due(until)
        streams = [link for link in self.links if link.items]
        choices = len(self.moves) + len(streams) + bool(writer.jobs) + bool(writer.told)
        if due is not None and (not choices or chance.random() < 0.02):
            self._pass(due)
        elif not choices:
            self.trace.append("quiet")
            if self._quiet() and not self.over.done():
                self.over.set_result(None)
        else:
            self._choose(chance.randrange(choices), streams)

    def _choose(self, number: int, streams: Sequence[Link]) -> None:
        if number < len(self.moves):
            move = self.moves.pop(number)
            self.trace.append(move.name)
            move.act()
            return
        number -= len(self.moves)
        if number < len(streams):
            self._deliver(streams[number])
        elif self.sidecar.writer.jobs and number == len(streams):
            self._commit()
        else:
            self.trace.append("told")
            self.sidecar.writer.tell()

    def _due(self, until: float | None) -> float | None:
        due = self.sidecar.clock.due()
        own = None if until is None else self.time + until
        return min((each for each in (due, own) if each is not None), default=None)

    def _pass(self, due: float) -> None:
        self.time = max(due, self.time)
        self.trace.append(f"time {self.time - START:.6f}")
        self.sidecar.clock.move_to(self.time)

    def _commit(self) -> None:
        writer = self.sidecar.writer
        count = len(writer.jobs)
        if count > 1 and self.chance.random() < 0.2:
            count = self.chance.randint(1, count)
        self.trace.append(f"commit {count}")
        writer.commit(count, self._look)
        if self.problem is not None:
            raise self.problem

    def _look(self, connection: sqlite3.Connection) -> None:
        try:
            self.ledger.observe(connection, self.time)
        except Wrong as problem:
            self.problem = problem

    # ---- what goes wrong ------------------------------------------------------------------------

    def _go_wrong(self) -> None:
        self.budget -= 1
        faults: list[Callable[[], None]] = [self.crash_sidecar, self._crash_worker, self._break]
        faults += [self._refuse, self._evict, self._stop_worker, self._stop_sidecar]
        weights = (6, 4, 4, 3, 2, 1, 1)
        (fault,) = self.chance.choices(faults, weights)
        fault()

    def cut(self, name: str) -> None:
        """Note that something went wrong."""
        self.cuts.append(len(self.trace))
        self.trace.append(f"! {name}")

    def crash_sidecar(self) -> None:
        """Have the sidecar be gone, and come again with what is on the disk."""
        self.cut("the sidecar crashes")
        self._replace(self.sidecar.crash())

    def _stop_sidecar(self) -> None:
        self.cut("the sidecar stops")
        self.lingering = True
        sidecar = self.sidecar

        async def stop() -> None:
            image = await sidecar.close()
            if sidecar is self.sidecar:
                self.cut("the sidecar has stopped")
                self._replace(image)

        _ = self.go(stop())

    def _replace(self, image: bytes) -> None:
        """Start a sidecar; every connection to the last one breaks."""
        old = self.sidecar
        self.sidecar = Sidecar(image, self.time, self._reply)
        self._unburied.add(self.sidecar)
        self._sent.clear()
        for caller in old.asking:
            self.move("an answer is lost", lambda caller=caller: caller.fail(lost()))  # type: ignore[misc]
        for link in list(self.links):
            self._part(link)
        old.asking.clear()
        _ = self.go(self._bury(old))

    async def _bury(self, old: Sidecar) -> None:
        """Give a dead sidecar's memory back when its last task has ended."""
        while old._tasks:
            await asyncio.wait(old._tasks)
        old.writer.end()
        self._unburied.discard(old)

    def end(self) -> None:
        """Give everything back, when nothing runs any more."""
        for sidecar in self._unburied:
            sidecar.writer.end()

    def _crash_worker(self) -> None:
        if not self.workers:
            return
        life = self.workers.pop(self.chance.randrange(len(self.workers)))
        self.cut(f"a worker of {life.app} crashes")
        for link in [each for each in self.links if each.call.owner is life]:
            self._part(link)
        life.crash()
        self._deploy(life)

    def _stop_worker(self) -> None:
        if not self.workers:
            return
        life = self.workers.pop(self.chance.randrange(len(self.workers)))
        self.cut(f"a worker of {life.app} stops")

        async def stop() -> None:
            await life.stop()
            self.cut(f"a worker of {life.app} has stopped")
            self._deploy(life)

        _ = self.go(stop())

    def _deploy(self, old: WorkerLife) -> None:
        """Have a worker take an old one's place, sometimes with newer code."""
        if self.scenario.workers == 1 and old.app == OWN and self.chance.random() < 0.7:
            self.changed = True
        self.move("a worker comes", lambda: self._employ(old.app))

    def _break(self) -> None:
        if self.links:
            link = self.links[self.chance.randrange(len(self.links))]
            self.cut(f"a stream of {link.app} breaks")
            self._part(link)

    def _part(self, link: Link) -> None:
        """Break a stream: each end hears of it when it does."""
        self.links.remove(link)
        link.broken = True
        link.items.clear()
        task = link.task
        self.move("a worker's stream is gone", lambda: link.call.fail(lost()))
        if task is not None:
            self.move("a sidecar's stream is gone", lambda: _cancel(task))

    def _refuse(self) -> None:
        writer = self.sidecar.writer
        if writer.jobs:
            self.lingering = True
            self.cut(f"no room for {len(writer.jobs)}")
            writer.refuse(self.chance.randint(1, len(writer.jobs)))

    def _evict(self) -> None:
        lives = [life for life in self.workers if len(life.instances)]
        if lives:
            kept = self.chance.choice(lives).instances._kept
            instance = self.chance.choice(list(kept))
            self.cut(f"a worker forgets {instance}")
            kept.pop(instance).close()

    # ---- workers --------------------------------------------------------------------------------

    def _employ(self, app: str) -> None:
        changed = self.changed
        workflows = workflows_of(self.scenario.programs, lambda: changed)
        carrier = _Carrier(self)
        life = WorkerLife(app, Channel(carrier, app), workflows, self._act, self.scenario.kept)
        carrier.owner = life
        self.workers.append(life)
        self.lives.append(life)

    async def _act(self, delivery: Delivery) -> Outcome:
        """Do an activity, which takes as long as it takes."""
        task = msgspec.json.decode(delivery.body, type=Task)
        headers = dict(delivery.raw_headers)
        execution = headers[b"dapr-task-execution-id"].decode()
        number = int(headers[b"dapr-task-id"])
        instance = headers[b"dapr-workflow-id"].decode()
        self.trace.append(f"activity {task.label} #{number} begins")
        self.executed.setdefault((instance, execution, number), []).append(len(self.trace))
        attempts = self._attempts.setdefault(execution, [])
        if number not in attempts:
            attempts.append(number)
        gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.move(f"activity {task.label} #{number} ends", lambda: _open(gate))
        await gate
        if attempts.index(number) >= task.fails:
            return Outcome(body=str(value_of(task.label)).encode())
        return Outcome(http_status=500, error=Final() if task.final else Failing())

    # ---- messages -------------------------------------------------------------------------------

    def ask(self, app: str, method: str, data: bytes, caller: Answering) -> None:
        """Carry a request; it may get lost, or come twice."""
        sidecar = self.sidecar

        def arrive() -> None:
            if sidecar is not self.sidecar or not sidecar.alive:
                caller.fail(lost())
                return
            fate = self.chance.random() if self.budget else 1.0
            if fate < 0.01:
                self._spend(f"{method} is lost")
                caller.fail(lost())
                return
            if fate < 0.03 and method not in _ONCE:
                self._spend(f"{method} comes twice")
                self.move(f"{method} again", lambda: self._again(sidecar, app, method, data))
            sidecar.serve(app, method, data, caller)

        self.move(method, arrive)

    def _again(self, sidecar: Sidecar, app: str, method: str, data: bytes) -> None:
        if sidecar is self.sidecar:
            sidecar.serve(app, method, data, _Nobody())

    def _reply(self, caller: Answering, answer: bytes | AioRpcError) -> None:
        sidecar = self.sidecar

        def arrive() -> None:
            if sidecar.asking.pop(caller, _Nobody) is _Nobody:
                return  # the sidecar crashed meanwhile, and the caller knows
            if self.budget and self.chance.random() < 0.02:
                self._spend("an answer is lost")
                caller.fail(lost())
            elif isinstance(answer, bytes):
                caller.answer(answer)
            else:
                caller.fail(answer)

        self.move("an answer", arrive)

    def _spend(self, name: str) -> None:
        self.budget -= 1
        self.cut(name)

    def listen(self, app: str, data: bytes, call: StreamCall) -> None:
        """Carry a request for work."""
        sidecar = self.sidecar

        def arrive() -> None:
            if sidecar is not self.sidecar or call.cancelled():
                call.fail(lost())
                return
            link = Link(app, call)
            self.links.append(link)
            sidecar.stream(link, data, self._send)

        self.move("a stream begins", arrive)

    def hang_up(self, call: StreamCall) -> None:
        """Carry that a worker ends a stream."""
        for link in self.links:
            if link.call is call:
                self._part(link)
                return

    def _send(self, link: Link, data: bytes) -> None:
        request = wf.WorkItem.FromString(data)
        if request.HasField("workflowRequest"):
            self._sent[link.app, request.workflowRequest.instanceId] = data
        if not link.broken:
            link.items.append(data)

    def _deliver(self, link: Link) -> None:
        item = link.items.popleft()
        self.trace.append(f"an item for {link.app}")
        if isinstance(item, bytes):
            link.call.arrive(item)
        else:
            self.links.remove(link)
            link.call.fail(item)

    def _given(self, app: str, instance: str) -> Sequence[wf.HistoryEvent]:
        data = self._sent.get((app, instance))
        if data is None:
            raise Wrong(f"'{instance}' went on with a turn that nobody was given")
        return wf.WorkItem.FromString(data).workflowRequest.newEvents

    # ---- clients --------------------------------------------------------------------------------

    async def when(self, name: str) -> None:
        """Return at some time."""
        gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.move(name, lambda: _open(gate))
        await gate


class _Carrier:
    """The way of one worker's messages."""

    owner: WorkerLife

    def __init__(self, world: World) -> None:
        self._world = world

    def ask(self, app: str, method: str, data: bytes, caller: Answering) -> None:
        """Carry a request."""
        self._world.ask(app, method, data, caller)

    def listen(self, app: str, data: bytes, stream: StreamCall) -> None:
        """Carry a request for work."""
        stream.owner = self.owner
        self._world.listen(app, data, stream)

    def hang_up(self, stream: StreamCall) -> None:
        """Carry that a stream is over."""
        self._world.hang_up(stream)

    def reaches(self) -> bool:
        """Tell whether a sidecar runs."""
        return self._world.sidecar.alive


class _Nobody:
    """Who asked for what came a second time by itself."""

    def answer(self, data: bytes) -> None:
        """Leave it."""

    def fail(self, error: AioRpcError) -> None:
        """Leave it."""


def _open(gate: "asyncio.Future[None]") -> None:
    if not gate.done():
        gate.set_result(None)


def _cancel(task: "asyncio.Task[None]") -> None:
    task.cancel()
