"""G22: a damaged database is never believed, who owns it is told, and it stays as it is."""

import random
import tempfile
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from daprflow.sidecar.components.base import ComponentError, StateWrite, StoredValue
from tests.faults.harness.goals import Goal, Measure, Result, Size
from tests.faults.harness.quiet import quiet
from tests.faults.harness.transactions import store_in

VALUES = 400
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
    """What is done.

    Attributes:
        damages: how often a file is damaged.
        judged: whether it counts that turned bits inside a row are not seen.
    """

    damages: int
    judged: bool


async def sound_file(folder: Path) -> tuple[bytes, dict[str, bytes]]:
    """Make a database with values and return both."""
    store = store_in(folder)
    await store.open()
    values = {f"key{number}": b"%d" % number * 40 for number in range(VALUES)}
    await store.transact([StateWrite(key, value) for key, value in values.items()])
    await store.close()
    return (folder / "state.db").read_bytes(), values


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
        inside: a key or a value had other bits: SQLite has no checksums of what it keeps.
        silent: something was missing, and nobody said so.
        emptied: held nothing at all any more: an empty file is a new database.
    """

    refused: int = 0
    right: int = 0
    inside: int = 0
    silent: int = 0
    emptied: int = 0


async def open_damaged(
    content: bytes, damage: Damage, values: dict[str, bytes], seen: Seen
) -> str | None:
    """Open a damaged file and read everything; return what is wrong."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "state.db"
        path.write_bytes(content)
        store = store_in(Path(name))
        try:
            try:
                await store.open()
                found = await store.get_many(list(values))
            finally:
                await store.close()
        except ComponentError as error:
            seen.refused += 1
            text = str(error)
            if path.read_bytes() != content:
                return f"a file that was refused was changed: {text}"
            if str(path) not in text or not any(each in text for each in REMEDIES):
                return f"an error names no file, or nothing to do: {text}"
            return None
        read = [value.data if isinstance(value, StoredValue) else None for value in found]
        if read == list(values.values()):
            seen.right += 1
        elif not content:
            seen.emptied += 1
        elif damage is Damage.BITS:
            seen.inside += 1
        else:
            seen.silent += 1
            return "what was read is wrong"
    return None


async def run(plan: Plan, folder: Path, seed: int) -> Result:
    """Damage a sound file again and again."""
    chance = random.Random(seed)  # noqa: S311 - it decides what is damaged
    content, values = await sound_file(folder)
    seen, result = Seen(), Result()
    with quiet():
        for number in range(plan.damages):
            damage = list(Damage)[number % len(Damage)]
            problem = await open_damaged(damaged(content, damage, chance), damage, values, seen)
            if problem is not None:
                result.problems.append(f"{damage.value}: {problem}")
    result.counts = {
        "damaged files": plan.damages,
        "refused": seen.refused,
        "read right": seen.right,
        "empty, so new": seen.emptied,
    }
    if plan.judged:
        unseen = Measure("turned bits inside a key or a value, not seen", seen.inside, "", most=0)
        result.measures.append(unseen)
    return result


GOAL = Goal(
    "G22",
    "a damaged database is refused in words that help, and left as it is",
    {Size.QUICK: Plan(60, judged=False), Size.FULL: Plan(500, judged=True)},
    run,
)
