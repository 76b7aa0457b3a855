"""G23: what every release has written is read by this one, and what a later one wrote is refused.

``python -m tests.faults.harness.released 0.1.0`` keeps what the code of today writes, in
``tests/faults/releases``; it is done once for each release, and again while its files still change.
"""

import asyncio
import contextlib
import os
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from daprflow import DaprFlowError
from daprflow.protocol.history import encode_history
from daprflow.sidecar.components.base import ComponentError
from daprflow.sidecar.engine_file import APPLICATION_ID, SCHEMA_VERSION, TABLES
from daprflow.sidecar.sqlite import SqliteWriter, versioned
from daprflow.testing import replay
from tests.faults.harness import release_app
from tests.faults.harness.goals import Goal, Result, Size
from tests.faults.harness.ledger import numbers
from tests.faults.harness.release_app import CountActor, later, more, sum_of, sums
from tests.faults.harness.steps import REFUSE, Plan, install, uninstall
from tests.faults.harness.victims import Pair, sidecar_and_app

RELEASES = Path(__file__).parents[1] / "releases"
FILES = ("state.db", "engine.db")
DATA = ".daprflow"
STORE = "statestore"
EVENTS = range(10)
VALUES = {"text": "plain", "number": 41, "document": {"lines": [1, 2.5, None, "ü"]}}
TURNS = 3
WITHIN = 30.0
RESULT = timedelta(seconds=WITHIN)
ADDED = {
    6: ("workflow_wakes",),
    5: ("workflow_inbox", "workflow_history", "workflows"),
    4: ("reminders",),
    3: ("jobs", "event_numbers"),
    2: ("locks", "configuration_items"),
}
"""Which tables came with which schema of ``engine.db``, for those that no release has written."""


@contextlib.asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Pair]:
    """Give sidecar and app, at work."""
    async with sidecar_and_app(folder, release_app) as pair:
        await pair.sidecar.begin()
        await pair.app.begin()
        await pair.listening()
        await pair.healthy()
        yield pair


# ---- what is kept -------------------------------------------------------------------------------


async def keep(pair: Pair, target: Path) -> None:
    """Have some of everything written, and copy it, with the histories of what has ended."""
    client = pair.client
    for key, value in VALUES.items():
        await client.state(STORE).set(key, value)
    for _ in range(TURNS):
        await client.actor(CountActor, "one").up()
    await client.actor(CountActor, "one").wake()
    await client.schedule(later, 5, due=release_app.FAR)
    ended = await client.start(sums, 1, id="ended")
    await ended.send(more, 10)
    assert await ended.result(RESULT) == sum_of(1, 10)
    waiting = await client.start(sums, 2, id="waiting")
    while len(await waiting.history()) < len(await ended.history()) - 4:  # noqa: ASYNC110 - it is asked
        await asyncio.sleep(0.05)
    for name, run in (("ended", ended), ("waiting", waiting)):
        history = encode_history(await run.history())
        (target / f"sums-{name}.json").write_bytes(history)
    await client.publish(release_app.numbers, -1)  # so that it is known who takes them
    await _handled(pair, {-1})
    await pair.app.stop()
    for number in EVENTS:
        await client.publish(release_app.numbers, number)
    await pair.sidecar.stop()


async def _handled(pair: Pair, wanted: set[int]) -> bool:
    deadline = time.monotonic() + WITHIN
    while time.monotonic() < deadline:
        if wanted <= set(numbers(pair.ledger, "handled")):
            return True
        await asyncio.sleep(0.02)
    return False


def shrink(file: Path) -> None:
    """Leave no log beside a database, and no room in it."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute("VACUUM")


async def make(name: str) -> None:
    """Keep what the code of today writes."""
    target = RELEASES / name
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as folder:
        async with running(Path(folder)) as pair:
            await keep(pair, target)
        for file in FILES:
            shutil.copy(Path(folder) / DATA / file, target / file)
            shrink(target / file)


# ---- what is checked ----------------------------------------------------------------------------


async def problems_of(pair: Pair) -> list[str]:
    """Say what of the kept data is not there, or does not go on."""
    client, wrong = pair.client, list[str]()

    def check(what: str, found: object, wanted: object) -> None:
        if found != wanted:
            wrong.append(f"{what} is {found!r}, it should be {wanted!r}")

    for key, value in VALUES.items():
        item = await client.state(STORE).get(key, object)
        check(f"value '{key}'", item and item.value, value)
    check("the actor", await client.actor(CountActor, "one").up(), TURNS + 1)
    job = await client.job(later)
    check("the job", job and job.data, 5)
    ended, waiting = client.workflow(sums, "ended"), client.workflow(sums, "waiting")
    check("the ended workflow", await ended.result(RESULT), sum_of(1, 10))
    await waiting.send(more, 20)
    check("the waiting workflow", await waiting.result(RESULT), sum_of(2, 20))
    if not await _handled(pair, set(EVENTS)):
        check("the events", sorted(set(numbers(pair.ledger, "handled"))), list(EVENTS))
    return wrong


def replayed(folder: Path) -> list[str]:
    """Go through the kept histories with the code of today."""
    wrong = []
    for file in sorted(folder.glob("sums-*.json")):
        try:
            replay(sums, file)
        except (DaprFlowError, ValueError) as error:
            wrong.append(f"{file.name}: {error}")
    return wrong


async def opened(release: Path, folder: Path) -> list[str]:
    """Work on with a copy of what a release has written."""
    data = folder / DATA
    data.mkdir(parents=True)
    for file in FILES:
        shutil.copy(release / file, data / file)
    async with running(folder) as pair:
        return await problems_of(pair)


async def older(release: Path, schema: int, folder: Path) -> list[str]:
    """Open a file as an earlier schema has it; what it holds stays, what it lacks comes."""
    file = _copy(release, folder)
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        for version, tables in ADDED.items():
            if version > schema:
                for table in tables:
                    connection.execute(f"DROP TABLE {table}")
        connection.execute(f"PRAGMA user_version = {schema}")
    before = _rows(file)
    install(Plan("commit.before", action=REFUSE))
    try:
        await _open(file)
    except ComponentError:
        pass  # what was cut off is done when it is opened again
    finally:
        uninstall()
    await _open(file)
    after = _rows(file)
    wrong = [f"'{table}' is gone" for table in before.keys() - after.keys()]
    wrong += [f"'{name}' has other rows" for name, rows in before.items() if after[name] != rows]
    missing = {table for tables in ADDED.values() for table in tables} - after.keys()
    return [*wrong, *(f"'{table}' is not made" for table in missing)]


def _copy(release: Path, folder: Path) -> Path:
    folder.mkdir()
    return Path(shutil.copy(release / "engine.db", folder))


def _rows(file: Path) -> dict[str, int]:
    with closing(sqlite3.connect(file)) as connection:
        tables = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table'"
        ).fetchall()
        return {
            name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]  # noqa: S608 - names of ours
            for (name,) in tables
        }


async def _open(file: Path) -> None:
    writer = SqliteWriter(file, versioned(APPLICATION_ID, SCHEMA_VERSION, TABLES))
    try:
        await writer.open()
    finally:
        await writer.close()


async def newer(release: Path, folder: Path) -> list[str]:
    """Open a file of a later release: it is refused in words that help, and stays as it is."""
    file = _copy(release, folder)
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    content = file.read_bytes()
    try:
        await _open(file)
    except ComponentError as error:
        text = str(error)
        wrong = [
            f"it says nothing of '{each}': {text}"
            for each in (str(file), "upgrade", "move")
            if each not in text
        ]
    else:
        wrong = ["a file of a later release was opened"]
    return [*wrong, *["a file that was refused was changed"] * (file.read_bytes() != content)]


async def run(plan: None, folder: Path, seed: int) -> Result:
    """Open what each release has left, and what earlier and later schemas look like."""
    result = Result()
    releases = sorted(RELEASES.iterdir())
    found = await asyncio.gather(*(opened(each, folder / each.name) for each in releases))
    for release, missing in zip(releases, found, strict=True):
        name = release.name
        told = [*missing, *replayed(release), *await newer(release, folder / f"{name}-newer")]
        for schema in range(1, 6):
            wrong = await older(release, schema, folder / f"{name}-{schema}")
            told += [f"schema {schema}: {text}" for text in wrong]
        result.problems += [f"{name}: {text}" for text in told]
    result.counts = {
        "releases": len(releases),
        "older schemas": 5 * len(releases),
        "histories": sum(1 for _ in RELEASES.glob("*/sums-*.json")),
    }
    return result


GOAL = Goal(
    "G23",
    "what every release wrote is read by this one, and what a later one wrote is refused",
    {Size.QUICK: None},
    run,
)


def main(words: Sequence[str]) -> None:
    """Keep the files of a release."""
    (name,) = words
    os.environ.pop("PYTHONPATH", None)
    asyncio.run(make(name))


if __name__ == "__main__":
    main(sys.argv[1:])
