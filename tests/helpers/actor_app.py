"""An app with actors, for tests that run it as a process or beside the test kit."""

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec

from daprflow import Actor, ActorError, Client, DaprFlow, Part, Retry, StopReminder

app = DaprFlow("actor-app")
SECOND = timedelta(seconds=1)


class Ledger(msgspec.Struct):
    """What an actor went through."""

    entries: list[str] = []


@app.actor(reentrant=True, max_depth=4, idle=timedelta(minutes=10))
class LedgerActor(Actor[Ledger]):
    """Writes down what happens to it."""

    tags = Part(list[str])
    session = Part(str, ttl=timedelta(seconds=2))

    def __init__(self, client: Client) -> None:
        self.client = client
        self.tries = 0

    async def add(self, text: str) -> list[str]:
        """Add an entry."""
        self.state.entries.append(text)
        self.tags.append(text[:1])
        return self.state.entries

    async def show(self) -> list[str]:
        """Return the entries."""
        return self.state.entries

    async def fail(self, text: str) -> None:
        """Add an entry, ask for a reminder, and raise."""
        await self.add(text)
        await self.remind(self.ticked, "never", due=timedelta())
        raise ValueError(f"not {text}")

    async def overlap(self, text: str) -> None:
        """Add an entry with others of the loop in between."""
        before = len(self.state.entries)
        await asyncio.sleep(0.001)
        assert len(self.state.entries) == before
        self.state.entries.append(text)

    async def chain(self, depth: int) -> int:
        """Come back into this turn that often."""
        self.state.entries.append(f"depth {depth}")
        if depth == 0:
            return 0
        return 1 + await self.client.actor(LedgerActor, self.id).chain(depth - 1)

    async def caught(self) -> list[str]:
        """Come back into this turn with a call that fails."""
        self.state.entries.append("before")
        try:
            await self.client.actor(LedgerActor, self.id).fail("inner")
        except ActorError as error:
            self.state.entries.append(error.type)
        return self.state.entries

    async def plan(self, ticks: int) -> None:
        """Ask for a reminder that ends itself."""
        await self.remind(self.ticked, f"last {ticks}", every=timedelta(seconds=1))
        self.state.entries.append("planned")

    async def plan_timer(self, name: str) -> None:
        """Ask for a timer of three ticks."""
        await self.set_timer(self.ticked, name, name=name, every=timedelta(seconds=1), repeats=3)

    async def named(self, name: str) -> None:
        """Ask for a reminder with a name of its own."""
        await self.remind(self.ticked, name, name=name, due=timedelta(seconds=1))

    async def schedule(self, kind: str) -> None:
        """Ask for a reminder or a timer of that kind."""
        match kind:
            case "stopped timer":
                await self.set_timer(self.ticked, "last 1", every=SECOND)
            case "counted":
                await self.remind(self.ticked, kind, every="R3/PT1S")
            case "ended":
                await self.remind(self.ticked, kind, every=SECOND, ttl=2.5 * SECOND)
            case "at a time":
                await self.remind(self.ticked, kind, due=datetime.now(UTC))
            case "kept" | "not replaced":
                await self.remind(self.ticked, kind, due=SECOND, overwrite=kind == "kept")
            case "removed":
                await self.remind(self.ticked, kind, due=SECOND)
            case "removal":
                await self.unremind(self.ticked)
                await self.unset_timer("nothing")
            case _:
                await self.remind(self.tried, 1, {"a": [2, None]}, due=timedelta())

    async def tried(self, number: int, more: dict[str, list[int | None]]) -> None:
        """Fail twice, then add an entry."""
        self.tries += 1
        self.state.entries.append(f"try {self.tries} with {number} {more}")
        if self.tries < 3:
            raise ValueError(self.tries)

    async def enter(self, name: str) -> None:
        """Begin a session, which ends by itself."""
        self.session = name

    async def entered(self) -> str:
        """Return whose session it is."""
        return self.session

    async def ticked(self, text: str) -> None:
        """Add an entry for a tick; end a reminder that had enough."""
        self.state.entries.append(f"tick {text}")
        if text.startswith("last") and len(self.state.entries) > int(text.split()[1]):
            raise StopReminder


@app.actor
class PlainActor(Actor[None]):
    """Calls itself, without reentrancy."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def call_myself(self) -> None:
        """Wait for this very turn."""
        await self.client.actor(PlainActor, self.id).call_myself()


@app.actor
class HangingActor(Actor[list[str]]):
    """Hangs when it is told to."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def hang(self) -> None:
        """Change the state and never return."""
        self.state.append("hang")
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.seen.append("hung up")

    async def show(self) -> list[str]:
        """Return the state, and what was seen of a turn that was cut."""
        return self.state + self.seen


@app.actor
class FlakyActor(Actor[list[str]]):
    """Asks for another try, twice."""

    def __init__(self) -> None:
        self.tries = 0

    async def work(self) -> list[str]:
        """Change the state with each try."""
        self.tries += 1
        self.state.append(f"try {self.tries}")
        if self.tries < 3:
            raise Retry
        return self.state
