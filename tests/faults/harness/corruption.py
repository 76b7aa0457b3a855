"""G22: a damaged database is never believed, who owns it is told, and it stays as it is."""

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from daprflow.protocol.jobs import JobRequest
from daprflow.sidecar.components.base import ComponentError, StateWrite, StoredValue
from daprflow.sidecar.components.event_log import SEQUENCE_BITS, SqliteLog, StoredEvent
from daprflow.sidecar.engine_file import FILE, engine_file
from daprflow.sidecar.job_plan import Progress
from daprflow.sidecar.job_store import SqliteJobStore, StoredJob
from tests.faults.harness.goals import Goal, Result, Size
from tests.faults.harness.quiet import quiet
from tests.faults.harness.scratch import scratch_folder
from tests.faults.harness.transactions import store_in

VALUES = 400
PUBSUB = "pubsub"
REMEDIES = ("restore", "move", "name another", "make", "end that", "upgrade")


class Damage(Enum):
    """What is done to a file."""

    BITS = "bits turned"
    CUT = "cut off"
    EMPTY = "emptied"
    TEXT = "replaced by text"
    HEAD = "head overwritten"
    PAGE = "a page overwritten"


@dataclass(frozen=True, slots=True)
class Plan:
    """How often each of the two files is damaged."""

    damages: int


@dataclass(frozen=True, slots=True)
class Subject:
    """A file that is damaged.

    Attributes:
        name: of the file.
        content: of a sound one.
        values: what is read of that.
        read: opens the file in a folder and reads everything.
    """

    name: str
    content: bytes
    values: Sequence[object]
    read: Callable[[Path], Awaitable[Sequence[object]]]


async def read_state(folder: Path) -> Sequence[object]:
    """Open the state store of a folder and read all values."""
    store = store_in(folder)
    try:
        await store.open()
        found = await store.get_many([f"key{number}" for number in range(VALUES)])
    finally:
        await store.close()
    return [value.data if isinstance(value, StoredValue) else None for value in found]


async def state_subject(folder: Path) -> Subject:
    """Make a state store with values."""
    store = store_in(folder)
    await store.open()
    values = {f"key{number}": b"%d" % number * 40 for number in range(VALUES)}
    await store.transact([StateWrite(key, value) for key, value in values.items()])
    await store.close()
    name = "state.db"
    return Subject(name, (folder / name).read_bytes(), await read_state(folder), read_state)


async def read_engine(folder: Path) -> Sequence[object]:
    """Open the engine's database of a folder and read its events and its jobs."""
    file = engine_file(folder / FILE)
    log, jobs = SqliteLog(file, PUBSUB), SqliteJobStore(file)
    try:
        groups = await log.open(lambda _: None)
        events = [each for group in groups for each in log.page(group.id, 0, 2 * VALUES, 1 << 20)]
        return [*groups, *events, *await jobs.open()]
    finally:
        await file.close()


async def engine_subject(folder: Path) -> Subject:
    """Make an engine's database with events and jobs."""
    file = engine_file(folder / FILE)
    log, jobs = SqliteLog(file, PUBSUB), SqliteJobStore(file)
    await log.open(lambda _: None)
    group = await log.add_group("orders", "app")
    first = (group.id << SEQUENCE_BITS) + 1
    pairs = {"traceparent": "00-1"}
    await log.publish(
        [
            StoredEvent(first + number, b"%d" % number * 40, pairs, "application/json")
            for number in range(VALUES)
        ]
    )
    for number in range(VALUES // 10):
        job = JobRequest(schedule="@daily", overwrite=True)
        await jobs.put(
            StoredJob(number + 1, "app", f"job{number}", job, 1.5, Progress(2.5, 0, 0, 2.5))
        )
    await file.close()
    found = await read_engine(folder)
    return Subject(FILE, (folder / FILE).read_bytes(), found, read_engine)


def damaged(content: bytes, damage: Damage, chance: random.Random) -> bytes:
    """Return what is left of a file."""
    changed = bytearray(content)
    match damage:
        case Damage.BITS:
            for _ in range(chance.randint(1, 20)):
                changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
        case Damage.CUT:
            del changed[chance.randrange(1, len(changed)) :]
        case Damage.EMPTY:
            changed.clear()
        case Damage.TEXT:
            changed[:] = b"this is no database\n" * chance.randint(1, 500)
        case Damage.HEAD:
            changed[: chance.randint(1, 100)] = chance.randbytes(100)
        case Damage.PAGE:
            begin = chance.randrange(0, len(changed), 4096)
            changed[begin : begin + 4096] = chance.randbytes(4096)
    return bytes(changed)


@dataclass(slots=True)
class Seen:
    """What came of damaged files.

    Attributes:
        refused: were not opened, or not read, with words that help.
        right: nothing that was read was wrong: the damage was elsewhere.
        emptied: held nothing at all any more: an empty file is a new database.
        silent: something was wrong or missing, and nobody said so.
        traces: something else than an error of ours came out.
    """

    refused: int = 0
    right: int = 0
    emptied: int = 0
    silent: int = 0
    traces: int = 0


async def open_damaged(subject: Subject, content: bytes, seen: Seen) -> str | None:
    """Open a damaged file and read everything; return what is wrong."""
    with scratch_folder() as name:
        path = Path(name) / subject.name
        path.write_bytes(content)
        try:
            found = await subject.read(Path(name))
        except ComponentError as error:
            seen.refused += 1
            text = str(error)
            if path.read_bytes() != content:
                return f"a file that was refused was changed: {text}"
            if str(path) not in text or not any(each in text for each in REMEDIES):
                return f"an error names no file, or nothing to do: {text}"
            return None
        except Exception as error:  # noqa: BLE001 - the traceback that nobody may see
            seen.traces += 1
            return f"{type(error).__name__} came out: {error}"
    if found == subject.values:
        seen.right += 1
    elif not content:
        seen.emptied += 1
    else:
        seen.silent += 1
        return "what was read is wrong"
    return None


async def run(plan: Plan, folder: Path, seed: int) -> Result:
    """Damage sound files again and again."""
    chance = random.Random(seed)  # noqa: S311 - it decides what is damaged
    subjects = (await state_subject(folder), await engine_subject(folder))
    seen, result = Seen(), Result()
    with quiet():
        for number in range(plan.damages):
            damage = list(Damage)[number % len(Damage)]
            for subject in subjects:
                content = damaged(subject.content, damage, chance)
                problem = await open_damaged(subject, content, seen)
                if problem is not None:
                    result.problems.append(f"{subject.name}, {damage.value}: {problem}")
    result.counts = {
        "damaged files": plan.damages * len(subjects),
        "refused": seen.refused,
        "read right": seen.right,
        "empty, so new": seen.emptied,
        "read wrong": seen.silent,
        "tracebacks": seen.traces,
    }
    return result


GOAL = Goal(
    "G22",
    "a damaged database is refused in words that help, and left as it is",
    {Size.QUICK: Plan(30), Size.FULL: Plan(500), Size.SOAK: Plan(20_000)},
    run,
)
