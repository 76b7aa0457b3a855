"""When reminders and timers come: what is given, and what the runtime is sent."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from daprflow import Actor, DaprFlow
from daprflow.actors.schedules import times
from tests.helpers.actor_stage import hosting

HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ({"due": HOUR}, ("3600s", "", "")),
        ({"due": "PT10M"}, ("PT10M", "", "")),
        ({"due": "P1M"}, ("P1M", "", "")),
        ({"due": datetime(2026, 1, 2, tzinfo=UTC)}, ("2026-01-02T00:00:00Z", "", "")),
        ({"every": HOUR}, ("3600s", "3600s", "")),
        ({"due": timedelta(), "every": HOUR}, ("0s", "3600s", "")),
        ({"every": "10m"}, ("600s", "600s", "")),
        ({"every": "P1W"}, ("604800s", "604800s", "")),
        ({"every": HOUR, "repeats": 3}, ("PT3600S", "R3/PT3600S", "")),
        ({"every": "R5/PT10S"}, ("PT10S", "R5/PT10S", "")),
        ({"every": timedelta(milliseconds=250)}, ("0.25s", "0.25s", "")),
        ({"every": HOUR, "ttl": timedelta(days=1)}, ("3600s", "3600s", "86400s")),
    ],
)
def test_reminders_are_said_as_the_runtime_reads_them(
    options: Any, sent: tuple[str, str, str]
) -> None:
    """Durations, moments and ISO 8601 become what a reminder of the runtime takes."""
    found = times(options, "reminder", calendar=False)
    assert (found["due_time"], found["period"], found["ttl"]) == sent


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ({"every": "P1M"}, ("P1M", "P1M", "")),
        ({"every": "P1Y", "repeats": 2}, ("P1Y", "R2/P1Y", "")),
        ({"due": HOUR, "every": "R3/P1D"}, ("3600s", "R3/P1D", "")),
    ],
)
def test_timers_know_the_calendar(options: Any, sent: tuple[str, str, str]) -> None:
    """A timer's period may have years, months, weeks and days."""
    found = times(options, "timer", calendar=True)
    assert (found["due_time"], found["period"], found["ttl"]) == sent


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, "needs to know when it comes"),
        ({"due": HOUR, "ttl": HOUR}, "comes once"),
        ({"due": HOUR, "repeats": 2}, "comes once"),
        ({"every": HOUR, "repeats": 0}, "it takes 1 or more"),
        ({"every": timedelta()}, "longer than 0"),
        ({"every": "R0/PT1S"}, "longer than 0"),
        ({"every": "soon"}, "'every' is 'soon'"),
        ({"every": "P1M"}, "knows no years and months"),
        ({"every": timedelta(milliseconds=1500), "repeats": 2}, "every whole second"),
        ({"every": "R2/PT1S", "repeats": 2}, "'repeats' says it again"),
        ({"due": "soon"}, "'due' is 'soon'"),
        ({"due": timedelta(-1)}, "it takes 0 to"),
        ({"due": datetime(2026, 1, 2)}, "without a time zone"),  # noqa: DTZ001 - the point
    ],
)
def test_what_would_never_come_is_refused(options: Any, reason: str) -> None:
    """A wish that the runtime cannot read, or that never comes, is a ValueError at the call."""
    with pytest.raises(ValueError, match=reason):
        times(options, "reminder", calendar=False)


class Note(msgspec.Struct):
    text: str
    count: int = 0


class Planner(Actor[list[str]]):
    async def plan(self, kind: str) -> None:  # noqa: C901 - one way each
        every = timedelta(minutes=1)
        match kind:
            case "nothing":
                await self.remind(self.bare, due=HOUR)
            case "one":
                await self.remind(self.one, Note("a", 2), due=HOUR)
            case "several":
                await self.remind(self.several, "a", 2, every=every, repeats=3)
            case "named":
                await self.remind(self.one, Note("b"), name="an/other |ñ", due=HOUR)
            case "kept":
                await self.remind(self.one, Note("kept"), due=HOUR, overwrite=False)
            case "timer":
                await self.set_timer(self.several, "t", 3, name="a timer", every=every, ttl=HOUR)
            case "stop":
                await self.unset_timer("a timer")
                await self.unremind("an/other |ñ")
            case "private":
                await self.remind(self._hidden, due=HOUR)
            case "foreign":
                await self.remind(Planner().bare, due=HOUR)
            case "wrong":
                await self.remind(self.one, due=HOUR)  # type: ignore[arg-type]  # the point

    async def bare(self) -> None:
        self.state.append("bare")

    async def one(self, note: Note) -> None:
        self.state.append(f"{note.text} {note.count}")

    async def several(self, text: str, count: int) -> None:
        self.state.append(f"{text} {count}")

    async def show(self) -> list[str]:
        return self.state

    async def _hidden(self) -> None: ...


def planner() -> DaprFlow:
    """An app that hosts planners."""
    app = DaprFlow("planner")
    app.actor(Planner)
    return app


def test_an_option_that_does_not_exist_is_refused() -> None:
    """A misspelt option is an error that names the right ones, not a reminder that comes once."""
    options: Any = {"due": HOUR, "period": HOUR}
    with pytest.raises(TypeError, match="'period'; it has 'due', 'every'"):
        times(options, "reminder", calendar=False)


@pytest.mark.parametrize(
    ("kind", "name", "data"),
    [
        ("nothing", "bare", msgspec.UNSET),
        ("one", "one", b'{"text":"a","count":2}'),
        ("several", "several", b'["a",2]'),
        ("named", "an%2Fother |ñ", b'{"daprflow.method":"one","data":{"text":"b","count":0}}'),
    ],
)
async def test_reminders_bring_their_arguments(kind: str, name: str, data: Any) -> None:
    """A reminder carries what its method takes, typed, under the method's name or its own."""
    async with hosting(planner()) as stage:
        actor = stage.client.actor(Planner, "1")
        await actor.plan(kind)
        ((found, asked),) = stage.sidecar.reminders.items()
        assert found == ("Planner", "1", name)
        sent = asked.data
        assert sent is data or (isinstance(sent, msgspec.Raw) and bytes(sent) == data)
        answer = await stage.sidecar.tick("Planner", "1", name)
        assert answer.status == 200
        ((entry),) = await actor.show()
        assert entry == {"nothing": "bare", "one": "a 2", "several": "a 2", "named": "b 0"}[kind]


async def test_timers_say_their_method() -> None:
    """A timer's tick names its method itself, whatever the timer is called."""
    async with hosting(planner()) as stage:
        actor = stage.client.actor(Planner, "1")
        await actor.plan("timer")
        asked = stage.sidecar.timers["Planner", "1", "a timer"]
        assert (asked.callback, asked.due_time, asked.period) == ("several", "60s", "60s")
        await stage.sidecar.timer("Planner", "1", "a timer")
        assert await actor.show() == ["t 3"]
        await actor.plan("named")
        await actor.plan("stop")
        assert not stage.sidecar.timers
        assert not stage.sidecar.reminders


async def test_overwrite_false_keeps_what_is_there() -> None:
    """A reminder that is there already stays as it is, and the turn is saved all the same."""
    async with hosting(planner()) as stage:
        actor = stage.client.actor(Planner, "1")
        await actor.plan("one")
        await actor.plan("kept")
        data = stage.sidecar.reminders["Planner", "1", "one"].data
        assert isinstance(data, msgspec.Raw)
        assert b'"a"' in bytes(data)


@pytest.mark.parametrize("kind", ["private", "foreign", "wrong"])
async def test_only_own_public_methods_are_reminded(kind: str) -> None:
    """F68: a method that cannot be called, or not so, is a TypeError in the turn."""
    async with hosting(planner()) as stage:
        answer = await stage.sidecar.call("Planner", "1", "plan", msgspec.json.encode(kind))
        assert b'"type":"TypeError"' in answer.body
        assert not stage.sidecar.reminders
