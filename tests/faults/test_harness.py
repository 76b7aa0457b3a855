"""The harness finds what it looks for: with something lost on purpose each checker says so."""

import asyncio
import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from daprflow.protocol.actors import ReminderRequest
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.components.base import (
    ComponentError,
    EtagConflict,
    Message,
    StateWrite,
    StoredValue,
)
from daprflow.sidecar.components.state_in_memory import InMemoryState
from daprflow.sidecar.engine import Work
from daprflow.sidecar.sqlite import SqliteWriter
from tests.faults import workflow_kills
from tests.faults.harness import corruption, etags, transactions
from tests.faults.harness import failing as failing_command
from tests.faults.harness.checkers import (
    Operation,
    Pair,
    Tick,
    lost_events,
    not_linearizable,
    unknown_events,
    wrong_model,
    wrong_pairs,
    wrong_ticks,
)
from tests.faults.harness.disk import SYNC_FAILED, Act, Disk, Op, reachable
from tests.faults.harness.disks import fault_problems
from tests.faults.harness.goals import Goal, Measure, Result, Size
from tests.faults.harness.images import write_image
from tests.faults.harness.measuring import measured
from tests.faults.harness.proxy import Proxy
from tests.faults.harness.registry import GOALS
from tests.faults.harness.running import Task, run_all
from tests.faults.harness.steps import (
    KILL,
    LOSE,
    PLAN,
    REFUSE,
    FailingConnection,
    Plan,
    install,
    step_of,
    uninstall,
)
from tests.faults.harness.table import BEGIN, END, Line, save_line, saved_lines, write_table
from tests.faults.harness.writing import write_pairs
from tests.helpers import kill_app
from tests.helpers.killed_process import KilledProcess, Ports, plain_environment
from tests.helpers.reminder_process import START, reminders_in
from tests.helpers.writer_process import CONSUMER, TOPIC, made_from

needs_disk = pytest.mark.skipif(not reachable(), reason="this Python's SQLite is not to be reached")


@pytest.fixture
def failing() -> Iterator[Callable[[Plan], None]]:
    """A way to install a plan of fail-points, for this test alone."""
    yield install
    uninstall()


# ---- what is lost on purpose --------------------------------------------------------------------


async def test_a_lost_event_is_found(tmp_path: Path, failing: Callable[[Plan], None]) -> None:
    """An event that is accepted and not written is missed when the broker begins again."""
    failing(Plan("events.insert", hit=3, action=LOSE))
    broker = transactions.broker_in(tmp_path)
    await broker.open()
    stop = await broker.subscribe(TOPIC, CONSUMER, {}, _never)
    await stop()
    for number in range(5):
        message = Message(TOPIC, b"%d" % number)
        await broker.publish(message)
    await broker.close()
    uninstall()
    got = await transactions.waiting(tmp_path, {0, 1})
    assert list(lost_events(range(5), got)) == [
        "3 accepted events were not handled: [2, 3, 4]",
    ]


async def _never(_: object) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize(("lost", "hit"), [("state.insert", 50), ("commit", 5)])
async def test_a_lost_write_is_found(tmp_path: Path, lost: str, hit: int) -> None:
    """A transaction that is accepted and not written is missed after a kill."""
    lines, _ = await write_pairs(tmp_path, 200, {PLAN: Plan(lost, hit, LOSE).text})
    last = transactions.accepted_pairs(lines, {})
    store = transactions.store_in(tmp_path)
    await store.open()
    found = await transactions.read_pairs(store)
    await store.close()
    assert list(wrong_pairs(last, found))


async def test_a_lost_workflow_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a sidecar forgets of a workflow makes it wrong or stuck, and that is seen."""

    def forgetful(folder: Path, ports: Ports) -> KilledProcess:
        words = (
            *(sys.executable, "-m", failing_command.__name__, "sidecar"),
            *("--app-id", kill_app.app.app_id),
            *("--dapr-http-port", str(ports.http), "--dapr-grpc-port", str(ports.grpc)),
        )
        env = {**plain_environment(folder), PLAN: Plan("workflow_history.insert", 9, LOSE).text}
        return KilledProcess(words, env, folder, "sidecar")

    monkeypatch.setattr(workflow_kills, "embedded_process", forgetful)
    plan = workflow_kills.Plan(workflows=10, kills=1, seed=1, pace=1.0, stuck=3.0)
    report = await workflow_kills.kill_again_and_again(plan, tmp_path)
    assert report.problems


async def test_a_lost_timer_is_found(tmp_path: Path, failing: Callable[[Plan], None]) -> None:
    """A reminder that is accepted and not written never comes, and that is seen."""
    failing(Plan("reminders.insert", hit=2, action=LOSE))
    clock, ticks = VirtualClock(START), list[Tick]()

    async def remind(_kind: str, actor_id: str, *_: object) -> None:
        ticks.append(Tick(actor_id, clock.now()))

    reminders = reminders_in(tmp_path, clock, Work(), remind)
    await reminders.open()
    for number in range(2):
        await reminders.register("T", str(number), "r", ReminderRequest("5s"))
    await reminders.close()
    work = Work()
    reminders = reminders_in(tmp_path, clock, work, remind)
    await reminders.open()
    reminders.hosted("T")
    clock.move_to(START + 10)
    for _ in range(10):
        await asyncio.sleep(0)
    await reminders.close()
    due = {"0": [START + 5], "1": [START + 5]}
    assert list(wrong_ticks(due, ticks)) == ["'1' came 0 times, 1 were due"]


async def test_a_lost_write_of_a_store_is_found(tmp_path: Path) -> None:
    """A store that lets two writers replace the same version is no register."""

    class Careless(InMemoryState):
        async def write(self, write: StateWrite, /) -> None:
            try:
                await super().write(write)
            except EtagConflict:
                await super().write(StateWrite(write.key, write.data))

    store = Careless(made_from(tmp_path, "state.in-memory"))
    await store.open()
    history = await etags.history_of(store, etags.Plan(8, 20), random.Random(1))  # noqa: S311
    await store.close()
    assert any("a write was lost" in problem for problem in not_linearizable(history))


def careless(synchronous: str) -> type[sqlite3.Connection]:
    """Return connections that sync as they are told."""

    class Careless(sqlite3.Connection):
        def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
            sql = sql.replace("synchronous=FULL", f"synchronous={synchronous}")
            return super().execute(sql, parameters)

    return Careless


@needs_disk
@pytest.mark.parametrize("synchronous", ["FULL", "OFF"])
async def test_a_write_that_is_not_synced_is_found(
    tmp_path: Path, synchronous: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What SQLite does not sync is gone with the power, and what it does sync is not."""
    monkeypatch.setattr(SqliteWriter, "connection_class", careless(synchronous))
    recorded = await transactions.recorded_run(64, tmp_path)
    problems = await transactions.image_problems(recorded, len(recorded) - 20, seed=1)
    assert bool(problems) == (synchronous == "OFF")


@needs_disk
async def test_a_fault_that_nobody_is_told_of_is_found() -> None:
    """Where a store says that it kept what the disk refused, that is seen."""

    class Deaf(sqlite3.Connection):
        def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
            try:
                return super().execute(sql, parameters)
            except sqlite3.OperationalError:
                if self.in_transaction:
                    super().execute("ROLLBACK")
                return super().execute("SELECT 1 WHERE 0")

    SqliteWriter.connection_class = Deaf
    try:
        _, problems = await fault_problems("sync fails", 4, 10)
    finally:
        uninstall()
    assert any("was accepted" in problem or "not handled" in problem for problem in problems)


# ---- the checkers alone -------------------------------------------------------------------------


def test_events() -> None:
    """What was accepted must be handled, and nothing else may be but what was sent."""
    assert list(lost_events([1, 2], [2, 1, 1])) == []
    assert list(unknown_events([1], [1, 7])) == ["1 events were handled that nobody sent: [7]"]


def test_pairs() -> None:
    """A pair is torn, too old, too new, or right: the last accepted one or the one after it."""
    last = dict.fromkeys(("a", "b", "c", "d", "e"), 5)
    found = {
        "a": Pair(5, 5),
        "b": Pair(6, 6),
        "c": Pair(6, 5),
        "d": Pair(4, 4),
        "e": Pair(7, 7),
    }
    assert list(wrong_pairs(last, found)) == [
        "'c' is torn: 6 and 5",
        "'d' is at 4, though 5 was accepted",
        "'e' is at 7, though only 6 was ever sent",
    ]


def test_ticks() -> None:
    """A timer that is early, that comes too often, or that does not come is named."""
    due = {"early": [10.0], "often": [10.0], "lost": [10.0, 20.0], "right": [10.0]}
    came = [
        Tick("right", 10.0),
        Tick("early", 9.5),
        Tick("often", 10.0),
        Tick("often", 11.0),
        Tick("lost", 30.0),
    ]
    assert list(wrong_ticks(due, came)) == [
        "'early' came 0.5 s early",
        "'often' came 2 times, 1 were due",
        "'lost' came 1 times, 2 were due",
    ]


@pytest.mark.parametrize(
    ("operations", "says"),
    [
        ([Operation(0, 1, 1, read=False), Operation(2, 3, 1, read=True)], ""),
        ([Operation(0, 3, 1, read=False), Operation(1, 2, 0, read=True)], ""),
        ([Operation(0, 1, 1, read=False), Operation(2, 3, 0, read=True)], "after a later one"),
        ([Operation(2, 3, 1, read=False), Operation(0, 1, 1, read=True)], "after a later one"),
        ([Operation(0, 1, 1, read=False), Operation(0, 1, 1, read=False)], "a write was lost"),
        ([Operation(0, 1, 2, read=False)], "versions are missing: [1]"),
        ([Operation(0, 1, 1, read=True)], "nobody wrote: [1]"),
    ],
)
def test_histories(operations: list[Operation], says: str) -> None:
    """Old reads, reads from the future, lost and invented versions are told from what may be."""
    problems = list(not_linearizable(operations))
    assert any(says in problem for problem in problems) == bool(says)
    assert bool(problems) == bool(says)


def test_models() -> None:
    """What differs from the model is named."""
    assert list(wrong_model({"a": 1, "b": 2}, {"a": 1, "b": 3})) == ["'b' is 3, it should be 2"]


# ---- fail-points --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "step"),
    [
        ("INSERT INTO events VALUES (?)", "events.insert"),
        ("INSERT OR REPLACE INTO workflow_wakes (id) VALUES (?)", "workflow_wakes.insert"),
        ("UPDATE state\n    SET value = ?", "state.update"),
        ("  DELETE FROM jobs WHERE id = ?", "jobs.delete"),
        ("COMMIT", "commit"),
        ("SELECT 1", None),
        ("BEGIN IMMEDIATE", None),
    ],
)
def test_steps_have_names(statement: str, step: str | None) -> None:
    """A step is named by what it does to which table; what keeps nothing has no name."""
    assert step_of(statement) == step


def test_plans_are_texts() -> None:
    """A plan survives its way through an environment."""
    assert Plan.from_text(Plan("commit.after", 3, REFUSE).text) == Plan("commit.after", 3, REFUSE)
    assert Plan.from_text("commit.before") == Plan("commit.before", 1, KILL)


async def test_a_refused_step_is_told(tmp_path: Path, failing: Callable[[Plan], None]) -> None:
    """A fail-point that refuses is an error of the call, and the next one is done."""
    failing(Plan("commit.before", hit=2, action=REFUSE))
    store = transactions.store_in(tmp_path)
    await store.open()  # the first commit makes the tables
    with pytest.raises(ComponentError, match="disk I/O error"):
        await store.write(StateWrite("key", b"1"))
    await store.write(StateWrite("key", b"2"))
    value = await store.get("key")
    await store.close()
    assert isinstance(value, StoredValue)
    assert value.data == b"2"


@pytest.mark.parametrize("point", ["state.insert.before", "commit.before", "commit.after"])
async def test_a_kill_at_a_point(tmp_path: Path, point: str) -> None:
    """A process that is killed at a point has kept everything that it said it had."""
    lines, _ = await write_pairs(tmp_path, 10_000, {PLAN: Plan(point, 40).text})
    last = transactions.accepted_pairs(lines, {str(each): 0 for each in range(16)})
    store = transactions.store_in(tmp_path)
    await store.open()
    found = await transactions.read_pairs(store)
    await store.close()
    assert sum(last.values())
    assert list(wrong_pairs(last, found)) == []


def test_without_a_plan_connections_are_plain() -> None:
    """The product knows nothing of fail-points until a test installs some."""
    assert SqliteWriter.connection_class is sqlite3.Connection
    assert FailingConnection is not sqlite3.Connection


# ---- the disk -----------------------------------------------------------------------------------


def test_images_keep_what_was_synced(tmp_path: Path) -> None:
    """What was written before the last sync is in every image; what came later may be, in parts."""
    later = b"y" * 2048
    ops = [Op(Act.WRITE, "f", 0, b"x" * 512), Op(Act.SYNC, "f"), Op(Act.WRITE, "f", 512, later)]
    seen = set()
    for seed in range(50):
        write_image(ops, len(ops), random.Random(seed), tmp_path)  # noqa: S311 - a model
        content = (tmp_path / "f").read_bytes()
        assert content.startswith(b"x" * 512)
        seen.add(len(content))
    assert seen == {512, 1024, 1536, 2048, 2560}
    write_image([*ops, Op(Act.SYNC, "f")], 4, random.Random(1), tmp_path)  # noqa: S311 - a model
    assert (tmp_path / "f").read_bytes() == b"x" * 512 + later


def test_images_of_deleted_files(tmp_path: Path) -> None:
    """A file that was deleted is not there, and one that was made again has what came since."""
    gone = [Op(Act.WRITE, "f", 0, b"old"), Op(Act.SYNC, "f"), Op(Act.DELETE, "f")]
    write_image(gone, len(gone), random.Random(1), tmp_path)  # noqa: S311 - a model
    assert not (tmp_path / "f").exists()
    again = [*gone, Op(Act.WRITE, "f", 0, b"new"), Op(Act.SYNC, "f")]
    write_image(again, len(again), random.Random(1), tmp_path)  # noqa: S311 - a model
    assert (tmp_path / "f").read_bytes() == b"new"


@needs_disk
def test_a_disk_sees_and_fails(tmp_path: Path) -> None:
    """Each commit is seen as writes and a sync, and a sync that fails fails the commit."""
    with Disk() as disk:
        connection = sqlite3.connect(tmp_path / "db", isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE t (x)")
        del disk.recorded[:]
        connection.execute("INSERT INTO t VALUES (1)")
        acts = [op.act for op in disk.recorded if isinstance(op, Op)]
        disk.fault = lambda op: SYNC_FAILED if op.act is Act.SYNC else 0
        with pytest.raises(sqlite3.OperationalError, match="disk I/O error"):
            connection.execute("INSERT INTO t VALUES (2)")
        disk.fault = lambda _: 0
        connection.execute("INSERT INTO t VALUES (3)")
        rows = connection.execute("SELECT x FROM t").fetchall()
        connection.close()
    assert Act.WRITE in acts
    assert acts[-1] is Act.SYNC
    assert rows == [(1,), (3,)]


# ---- the proxy ----------------------------------------------------------------------------------


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while await reader.readuntil(b"\r\n\r\n"):
            body = b"x" * 1000
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + body)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("toxic", "outcome"),
    [
        ({}, "200"),
        ({"latency": 0.01}, "200"),
        ({"rate": 1e6}, "200"),
        ({"limit": 500}, "lost"),
        ({"reset": True}, "lost"),
        ({"refused": True}, "lost"),
        ({"silent": True}, "late"),
        ({"one_way": True}, "late"),
        ({"corrupt": 100}, "200 changed"),
    ],
    ids=str,
)
async def test_toxics(toxic: dict[str, Any], outcome: str) -> None:
    """Each toxic does to a call what its name says, and to none without it."""
    server = await asyncio.start_server(_answer, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    limit, lines = aiohttp.ClientTimeout(total=0.3), aiohttp.TCPConnector(force_close=True)
    async with (
        Proxy(host, port) as proxy,
        aiohttp.ClientSession(timeout=limit, connector=lines) as session,
    ):
        async with session.get(proxy.url) as response:
            assert await response.read() == b"x" * 1000
        for name, value in toxic.items():
            setattr(proxy.toxics, name, value)
        assert await _outcome(session, proxy.url) == outcome
    server.close()


async def _outcome(session: aiohttp.ClientSession, url: str) -> str:
    try:
        async with session.get(url) as response:
            changed = await response.read() != b"x" * 1000
    except TimeoutError:
        return "late"
    except aiohttp.ClientError:
        return "lost"
    return f"{response.status} changed" if changed else str(response.status)


# ---- figures ------------------------------------------------------------------------------------


def test_a_measure_is_judged() -> None:
    """A time may be its goal, on CI ten times that; a count may not be anything else than it is."""
    slow = Measure("it took", 5.0, "s", most=2.0)
    assert slow.problem(1.0) == "it took: 5 s, at most 2"
    assert slow.problem(10.0) is None
    few = Measure("rate", 10.0, "", least=200.0)
    assert few.problem(1.0) is not None
    assert few.problem(10.0) is not None
    assert Result(problems=["lost"], measures=[slow]).missed(10.0) == ["lost"]


def test_the_table_is_put_in_its_place(tmp_path: Path) -> None:
    """What stands around the table stays, and the table of before goes."""
    page = tmp_path / "page.md"
    page.write_text(f"# Title\n{BEGIN}\nold\n{END}\nmore\n", encoding="utf-8")
    for size in ("full", "quick"):
        line = Line("G1", "nothing is lost", "5 events", "2026-01-02", "this", (), size, 1, 2.0)
        save_line(tmp_path, line)
    write_table(page, saved_lines(tmp_path, ["G0", "G1"]))
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# Title\n")
    assert text.endswith("\nmore\n")
    assert "| G1 | nothing is lost | 5 events; 0 problems | full | yes | 2026-01-02 |" in text
    assert "old" not in text


@pytest.mark.parametrize(
    ("believed", "said"),
    [("wrong", "what was read is wrong"), ("trace", "ValueError came out"), ("touched", "changed")],
)
async def test_a_reader_that_believes_a_damaged_file_is_found(believed: str, said: str) -> None:
    """G22 sees values that are wrong, tracebacks, and files that are changed."""

    async def read(folder: Path) -> list[object]:
        if believed == "trace":
            raise ValueError(folder)
        if believed == "touched":
            path = folder / "x.db"
            await asyncio.to_thread(path.write_bytes, b"new")
            raise ComponentError(f"'{path}' is damaged; restore it")
        return [1]

    seen = corruption.Seen()
    subject = corruption.Subject("x.db", b"sound", [2], read)
    problem = await corruption.open_damaged(subject, b"damaged", seen)
    assert problem is not None
    assert said in problem
    assert (seen.silent, seen.traces) == (believed == "wrong", believed == "trace")


async def test_what_a_goal_leaves_behind_is_found_and_ended() -> None:
    """A process that outlives its scenario, and a file in the working folder, are told."""
    begun: list[subprocess.Popen[bytes]] = []

    async def run(plan: object, folder: Path, seed: int) -> Result:
        words = [sys.executable, "-S", "-c", "import signal; signal.pause()"]
        begun.append(await asyncio.to_thread(subprocess.Popen, words))
        await asyncio.to_thread(Path("left.db-shm").touch)
        return Result()

    line = await measured(Goal("G0", "none", {Size.QUICK: None}, run), Size.QUICK, 1)
    begun[0].wait()
    assert len(line.missed) == 2
    assert str(begun[0].pid) in line.missed[0]
    assert "'left.db-shm' is left in the working folder" in line.missed


def test_goals_that_measure_times_run_alone() -> None:
    """One that measures none runs beside others; each is in a process, and says what came of it."""
    found = {goal.id: goal for goal in GOALS}
    goals = [replace(found["G22"], alone=True), found["G13"]]
    done = list(run_all([Task(goal, Size.QUICK) for goal in goals], seed=1))
    assert [task.goal.id for task, _, _ in done] == ["G13", "G22"]
    for _, line, printed in done:
        assert line is not None, printed
        assert line.seconds > 0
