"""What must hold between what was acknowledged and what is there; each says what is wrong."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass


def lost_events(accepted: Collection[int], handled: Collection[int]) -> Iterator[str]:
    """Every accepted event was handled."""
    lost = sorted(set(accepted) - set(handled))
    if lost:
        yield f"{len(lost)} accepted events were not handled: {lost[:5]}"


def unknown_events(sent: Collection[int], handled: Collection[int]) -> Iterator[str]:
    """Nothing was handled that nobody sent."""
    unknown = sorted(set(handled) - set(sent))
    if unknown:
        yield f"{len(unknown)} events were handled that nobody sent: {unknown[:5]}"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two values that every transaction writes together; None where one is missing."""

    left: int | None
    right: int | None


def wrong_pairs(accepted: Mapping[str, int], found: Mapping[str, Pair]) -> Iterator[str]:
    """Pairs agree; they are the last accepted one's, or that of the one after it, cut off.

    Args:
        accepted: the number of the last accepted transaction of each writer.
        found: what is stored.
    """
    for name, last in accepted.items():
        pair = found[name]
        if pair.left != pair.right:
            yield f"'{name}' is torn: {pair.left} and {pair.right}"
        elif (pair.left or 0) < last:
            yield f"'{name}' is at {pair.left}, though {last} was accepted"
        elif (pair.left or 0) > last + 1:
            yield f"'{name}' is at {pair.left}, though only {last + 1} was ever sent"


@dataclass(frozen=True, slots=True)
class Tick:
    """One call of a timer's handler."""

    name: str
    at: float


def wrong_ticks(due: Mapping[str, Sequence[float]], ticks: Sequence[Tick]) -> Iterator[str]:
    """Every accepted timer comes as often as it should, never before it is due."""
    came: Counter[str] = Counter()
    for tick in ticks:
        times = due.get(tick.name, ())
        number = came[tick.name]
        came[tick.name] += 1
        if number >= len(times):
            yield f"'{tick.name}' came {number + 1} times, {len(times)} were due"
        elif tick.at < times[number]:
            yield f"'{tick.name}' came {times[number] - tick.at:g} s early"
    for name, times in due.items():
        if came[name] < len(times):
            yield f"'{name}' came {came[name]} times, {len(times)} were due"


@dataclass(frozen=True, slots=True)
class Operation:
    """One read or one successful write of a register.

    Attributes:
        begin: when it was called.
        end: when it was answered.
        version: what was read; of a write, the version that it made.
        read: whether it is a read.
    """

    begin: float
    end: float
    version: int
    read: bool


def not_linearizable(operations: Sequence[Operation]) -> Iterator[str]:
    """Each version is written once, and the order of versions is one that time allows.

    A write names the version it replaces, so that the order of writes is known, and a read belongs
    between the write of what it saw and the next one. Such an order is possible if and only if no
    operation begins after the end of one that comes later in it.
    """
    writes = [op for op in operations if not op.read]
    for version, count in Counter(op.version for op in writes).items():
        if count > 1:
            yield f"version {version} was written {count} times: a write was lost"
    there = {0, *(op.version for op in writes)}
    missing = sorted({op.version for op in operations} - there)
    if missing:
        yield f"versions were read that nobody wrote: {missing[:5]}"
    gaps = sorted(set(range(max(there) + 1)) - there)
    if gaps:
        yield f"versions are missing: {gaps[:5]}"
    earliest_end = float("inf")
    for op in sorted(operations, key=lambda op: (op.version, op.read, op.begin), reverse=True):
        if op.begin > earliest_end:
            what = "was read" if op.read else "was written"
            yield f"version {op.version} {what} after a later one had been seen"
        if not op.read or op.version:
            earliest_end = min(earliest_end, op.end)


def wrong_model(expected: Mapping[str, int], found: Mapping[str, int]) -> Iterator[str]:
    """What is kept is what the model says."""
    for name, value in expected.items():
        if found[name] != value:
            yield f"'{name}' is {found[name]}, it should be {value}"
