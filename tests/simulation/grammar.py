"""The programs that a simulation runs: what workflows can do, and a seeded author of them."""

import random
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

OWN = "shop"
OTHER = "risk"
EVENTS = ("paid", "sent")


class Task(msgspec.Struct, frozen=True):
    """What an activity is given.

    Attributes:
        label: names the call among all of a run.
        fails: how many attempts of the call fail.
        final: whether a failure must not be tried again.
        note: what the workflow made of itself, which every replay must make again.
    """

    label: str
    fails: int = 0
    final: bool = False
    note: str = ""


class Start(msgspec.Struct, frozen=True):
    """What a workflow is given: which program, which of its bodies, and what the last one left."""

    program: str
    body: int = 0
    carry: int = 0


@dataclass(frozen=True, slots=True)
class Call:
    """An activity.

    Attributes:
        app: whose it is.
        attempts: how often it is tried; 1 goes without a policy.
        pause: seconds before the second attempt, each later one ``backoff`` times as long.
        noted: whether an id that the workflow makes goes with it.
    """

    label: str
    app: str = OWN
    fails: int = 0
    final: bool = False
    attempts: int = 1
    pause: int = 1
    backoff: int = 1
    noted: bool = False


@dataclass(frozen=True, slots=True)
class Sleep:
    """A timer."""

    seconds: int


@dataclass(frozen=True, slots=True)
class Wait:
    """An external event, with a limit of seconds or without one."""

    event: str
    timeout: int | None = None
    default: bool = False


@dataclass(frozen=True, slots=True)
class Child:
    """A child workflow; a detached one is not waited for."""

    program: str
    app: str = OWN
    attempts: int = 1
    detached: bool = False


Leaf = Call | Sleep | Wait | Child


@dataclass(frozen=True, slots=True)
class Gather:
    """Leaves, and branches of several leaves, side by side."""

    branches: Sequence[Leaf | Sequence[Leaf]]


@dataclass(frozen=True, slots=True)
class Race:
    """The first of several."""

    leaves: Sequence[Leaf]


@dataclass(frozen=True, slots=True)
class Saga:
    """Calls, each with what takes it back; the last may fail."""

    steps: Sequence[tuple[Call, Call]]
    fails: bool


@dataclass(frozen=True, slots=True)
class Show:
    """A custom status."""

    text: str


@dataclass(frozen=True, slots=True)
class Patched:
    """A change of code: the old call, or the new one where `patched` or the version says so."""

    name: str
    versioned: bool
    old: Call
    new: Call


Statement = Leaf | Gather | Race | Saga | Show | Patched


@dataclass(frozen=True, slots=True)
class Body:
    """One execution: what it does, and how it ends.

    Attributes:
        keep: whether the next execution is given the unread events; None where this is the last.
        fails: whether it raises in the end.
    """

    statements: Sequence[Statement]
    keep: bool | None = None
    fails: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """What a client does with an instance, at any time after its start.

    Attributes:
        kind: ``raise``, ``pause`` (and then resume) or ``terminate``.
        event: its name and a payload that no other has.
        recursive: whether child workflows end, too.
    """

    kind: str
    instance: str
    event: str = ""
    payload: str = ""
    recursive: bool = False


@dataclass(slots=True)
class Scenario:
    """All that a run does by itself; what goes wrong meanwhile is the world's affair.

    Attributes:
        programs: bodies by program.
        roots: programs that clients start, by instance id.
        orders: what clients do besides.
        delays: seconds until a root begins, for those that do not begin at once.
        calm: whether nothing goes wrong.
        kept: how many suspended workflows a worker keeps.
        workers: how many the own app has.
        apps: those that have workers.
        deploys: whether the code changes on the way, see `Patched`.
    """

    programs: dict[str, Sequence[Body]] = field(default_factory=dict)
    roots: dict[str, str] = field(default_factory=dict)
    orders: list[Order] = field(default_factory=list)
    delays: Mapping[str, int] = field(default_factory=dict)
    calm: bool = False
    kept: int = 1000
    workers: int = 1
    apps: Sequence[str] = (OWN,)
    deploys: bool = False


def value_of(label: str) -> int:
    """Return what the activity with a label returns."""
    return zlib.crc32(label.encode()) % 997


def digest_of(trail: Sequence[object]) -> int:
    """Return what an execution leaves to the next one."""
    return zlib.crc32(msgspec.json.encode(trail))


class Author:
    """Writes scenarios.

    Args:
        chance: decides everything.
    """

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._scenario = Scenario()
        self._labels = 0
        self._events: set[str] = set()

    def write(self) -> Scenario:
        """Return a scenario."""
        chance, made = self._chance, self._scenario
        made.calm = chance.random() < 0.1
        made.kept = chance.choice((0, 1, 2, 1000, 1000, 1000))
        made.workers = 2 if chance.random() < 0.15 else 1
        if chance.random() < 0.15:
            made.apps = (OWN, OTHER)
        for number in range(1 if chance.random() < 0.65 else 2):
            program, instance = f"p{number}", f"w{number}"
            self._events = set()
            self._program(program, depth=0)
            made.roots[instance] = program
            self._orders(instance)
            if chance.random() < 0.08:
                made.delays = {**made.delays, instance: chance.randint(1, 20)}
        chance.shuffle(made.orders)
        return made

    def _orders(self, instance: str) -> None:
        chance, orders = self._chance, self._scenario.orders
        for name in sorted(self._events):
            for number in range(chance.randint(0, 2)):
                shown = name if chance.random() < 0.7 else name.upper()
                payload = f"{instance}-{name}-{number}"
                orders.append(Order("raise", instance, shown, payload))
        if chance.random() < 0.15:
            orders.append(Order("pause", instance))
        if chance.random() < 0.1:
            orders.append(Order("terminate", instance, recursive=chance.random() < 0.6))

    def _program(self, name: str, depth: int) -> None:
        chance = self._chance
        bodies = 2 if chance.random() < (0.25 if depth == 0 else 0.1) else 1
        written = []
        for number in range(bodies):
            last = number == bodies - 1
            count = chance.randint(1, 3 if depth == 0 else 2)
            statements = [self._statement(depth) for _ in range(count)]
            if depth == 0 and bodies == 1 and chance.random() < 0.12:
                self._scenario.deploys = True
                versioned = chance.random() < 0.4
                calls = self._call(plain=True), self._call(plain=True)
                made = Patched("better", versioned, *calls)
                statements.insert(chance.randint(0, len(statements)), made)
            keep = None if last else chance.random() < 0.6
            written.append(Body(statements, keep, last and chance.random() < 0.12))
        self._scenario.programs[name] = written

    def _statement(self, depth: int) -> Statement:
        what = self._chance.random()
        if what < 0.6:
            return self._leaf(depth)
        if what < 0.77:
            branches: list[Leaf | Sequence[Leaf]] = []
            for _ in range(self._chance.randint(2, 3)):
                if self._chance.random() < 0.3:
                    branches.append(tuple(self._leaf(depth) for _ in range(2)))
                else:
                    branches.append(self._leaf(depth))
            return Gather(branches)
        if what < 0.87:
            return Race([self._leaf(depth) for _ in range(2)])
        if what < 0.94:
            steps = [(self._call(), self._call()) for _ in range(self._chance.randint(1, 2))]
            return Saga(steps, self._chance.random() < 0.6)
        return Show(f"at {self._label()}")

    def _leaf(self, depth: int) -> Leaf:
        what = self._chance.random()
        if what < 0.5:
            return self._call()
        if what < 0.68:
            return Sleep(self._chance.choice((0, 1, 5, 30)))
        if what < 0.85 or depth:
            name = self._chance.choice(EVENTS)
            self._events.add(name)
            # A child's events come to it only where the client is asked for them.
            timeout = self._chance.choice((None, 2, 10)) if not depth else 3
            return Wait(name, timeout, timeout is not None and self._chance.random() < 0.5)
        name = f"c{self._label()}"
        self._program(name, depth + 1)
        again = 2 if self._chance.random() < 0.2 else 1
        detached = again == 1 and self._chance.random() < 0.15
        return Child(name, self._app(), again, detached)

    def _call(self, *, plain: bool = False) -> Call:
        chance, label = self._chance, self._label()
        if plain or chance.random() < 0.6:
            return Call(label, OWN if plain else self._app(), noted=chance.random() < 0.2)
        attempts = chance.randint(1, 3)
        return Call(
            label,
            self._app(),
            fails=chance.randint(1, 3) if chance.random() < 0.7 else 0,
            final=chance.random() < 0.1,
            attempts=attempts,
            pause=chance.choice((0, 1, 3)),
            backoff=chance.choice((1, 2)),
        )

    def _app(self) -> str:
        return self._chance.choice(self._scenario.apps)

    def _label(self) -> str:
        self._labels += 1
        return str(self._labels)
