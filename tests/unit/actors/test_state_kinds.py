"""What an actor's state may be, and its parts."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pydantic
import pytest

from daprflow import Actor, ActorError, DaprFlow, Part
from daprflow.protocol.http import HttpResponse
from tests.helpers.actor_stage import ActorSidecar, hosting


@dataclass
class Account:
    balance: int = 0
    notes: list[str] = field(default_factory=list)


class Profile(pydantic.BaseModel):
    name: str = "nobody"
    since: datetime | None = None


class Session(msgspec.Struct):
    token: str = ""


class AccountActor(Actor[Account]):
    async def pay(self, amount: int) -> int:
        self.state.balance += amount
        self.state.notes.append(f"+{amount}")
        return self.state.balance

    async def spoil(self) -> None:
        self.state.balance = "five"  # type: ignore[assignment]  # what the test is about


class ProfileActor(Actor[Profile]):
    async def rename(self, profile: Profile) -> Profile:
        self.state = profile
        return self.state

    async def show(self) -> Profile:
        return self.state


class CountActor(Actor[int]):
    async def up(self) -> int:
        self.state += 1
        return self.state


class NoteActor(Actor[str]):
    async def write(self, text: str) -> str:
        self.state = text
        return self.state


class PhotoActor(Actor[bytes]):
    async def put(self, photo: bytes) -> bytes:
        self.state += photo
        return self.state


class MaybeActor(Actor[Session | None]):
    async def swap(self, session: Session | None) -> Session | None:
        before, self.state = self.state, session
        return before


class NobodyActor(Actor[None]):
    async def ping(self) -> str:
        return self.id


class PartsActor(Actor[int]):
    session = Part(Session, ttl=timedelta(minutes=30))
    tags = Part(list[str], key="labels")

    async def log_in(self, token: str) -> None:
        self.session.token = token
        self.tags.append(token)
        self.state += 1

    async def log_out(self) -> None:
        del self.session

    async def who(self) -> str:
        return self.session.token


class StrictActor(Actor[Account]):
    def initial_state(self) -> Account:
        return Account(100, [self.id])

    async def pay(self, amount: int) -> int:
        self.state.balance += amount
        return self.state.balance


KINDS = (
    AccountActor,
    ProfileActor,
    CountActor,
    NoteActor,
    PhotoActor,
    MaybeActor,
    NobodyActor,
    PartsActor,
    StrictActor,
)


def app_of(*kinds: type[Actor[Any]]) -> DaprFlow:
    """An app with these types."""
    app = DaprFlow("kinds")
    for kind in kinds:
        app.actor(kind)
    return app


async def test_states_of_every_kind_are_kept() -> None:
    """Dataclasses, pydantic models, numbers, text, bytes and nothing at all can be the state."""
    async with hosting(app_of(*KINDS)) as stage:
        client, value = stage.client, stage.sidecar.value
        assert await client.actor(AccountActor, "a").pay(5) == 5
        assert value("AccountActor", "a") == {"balance": 5, "notes": ["+5"]}
        profile = Profile(name="ann", since=datetime(2026, 1, 2, tzinfo=UTC))
        assert await client.actor(ProfileActor, "p").rename(profile) == profile
        assert value("ProfileActor", "p") == {"name": "ann", "since": "2026-01-02T00:00:00Z"}
        assert await client.actor(CountActor, "c").up() == 1
        assert await client.actor(CountActor, "c").up() == 2
        assert await client.actor(NoteActor, "n").write('a "quoted" text') == 'a "quoted" text'
        assert await client.actor(PhotoActor, "f").put(b"\x89\x00") == b"\x89\x00"
        assert await client.actor(PhotoActor, "f").put(b"\xff") == b"\x89\x00\xff"
        assert await client.actor(MaybeActor, "m").swap(Session("x")) is None
        assert await client.actor(MaybeActor, "m").swap(None) == Session("x")
        assert await client.actor(NobodyActor, "ñ/|. x").ping() == "ñ/|. x"
        assert not [
            each for each in stage.sidecar.requests if "NobodyActor" in each and "state" in each
        ]


async def test_states_survive_deactivation() -> None:
    """A new activation reads what the one before saved, whatever its type."""
    async with hosting(app_of(*KINDS)) as stage:
        client = stage.client
        await client.actor(PhotoActor, "f").put(b"\x89\x00")
        await client.actor(ProfileActor, "p").rename(Profile(name="ann"))
        await client.actor(NoteActor, "n").write("10h")
        for kind, actor_id in (("PhotoActor", "f"), ("ProfileActor", "p"), ("NoteActor", "n")):
            assert (await stage.sidecar.deactivate(kind, actor_id)).status == 200
        assert await client.actor(PhotoActor, "f").put(b"") == b"\x89\x00"
        assert await client.actor(ProfileActor, "p").show() == Profile(name="ann")


async def test_parts_are_saved_together() -> None:
    """State and parts go in one transaction, each under its key, with its own time to live."""
    async with hosting(app_of(PartsActor)) as stage:
        actor = stage.client.actor(PartsActor, "ann")
        await actor.log_in("t1")
        assert [
            each for each in stage.sidecar.requests if each.startswith("PUT") and "state" in each
        ] == ["PUT /v1.0/actors/PartsActor/ann/state"]
        assert stage.sidecar.value("PartsActor", "ann", "labels") == ["t1"]
        assert stage.sidecar.value("PartsActor", "ann", "session") == {"token": "t1"}
        assert stage.sidecar.written_ttls == {("PartsActor", "ann", "session"): "1800"}
        await actor.log_out()
        assert stage.sidecar.value("PartsActor", "ann", "session") is None
        assert await actor.who() == ""


async def test_a_part_ends_with_its_time() -> None:
    """An actor in memory sees a part no longer than the store keeps it."""
    app = app_of(PartsActor)
    async with hosting(app) as stage:
        (host,) = app.actor_hosts()
        now = 1000.0
        host.now = lambda: now
        actor = stage.client.actor(PartsActor, "ann")
        await actor.log_in("t1")
        now += 1799
        assert await actor.who() == "t1"
        now += 1
        assert await actor.who() == ""


async def test_a_part_read_back_ends_with_its_time() -> None:
    """The store says when a part ends that an earlier activation wrote."""
    sidecar = ActorSidecar()
    sidecar.store["PartsActor", "ann", "session"] = b'{"token":"old"}'
    sidecar.ttls["PartsActor", "ann", "session"] = "2026-11-21T08:34:19Z"
    app = app_of(PartsActor)
    async with hosting(app, sidecar) as stage:
        (host,) = app.actor_hosts()
        now = datetime(2026, 11, 21, 8, 34, 18, tzinfo=UTC).timestamp()
        host.now = lambda: now
        actor = stage.client.actor(PartsActor, "ann")
        assert await actor.who() == "old"
        now += 1
        assert await actor.who() == ""


async def test_an_actor_may_begin_with_more_than_nothing() -> None:
    """initial_state gives what a new actor has; it knows its id by then."""
    async with hosting(app_of(StrictActor)) as stage:
        assert await stage.client.actor(StrictActor, "ann").pay(1) == 101
        assert stage.sidecar.value("StrictActor", "ann") == {"balance": 101, "notes": ["ann"]}


async def test_a_state_of_another_shape_is_told() -> None:
    """What is stored and does not fit fails the turn, with the place and without the value."""
    sidecar = ActorSidecar()
    sidecar.store["AccountActor", "a", "state"] = b'{"balance":"secret"}'
    async with hosting(app_of(AccountActor), sidecar) as stage:
        with pytest.raises(ActorError, match=r"ValidationError.*\$\.balance") as caught:
            await stage.client.actor(AccountActor, "a").pay(1)
        assert "secret" not in str(caught.value)
        assert sidecar.store["AccountActor", "a", "state"] == b'{"balance":"secret"}'


async def test_a_state_that_no_turn_could_read_is_not_saved() -> None:
    """A turn that leaves a value of another type fails, so that the next one can begin."""
    async with hosting(app_of(AccountActor)) as stage:
        actor = stage.client.actor(AccountActor, "a")
        assert await actor.pay(5) == 5
        with pytest.raises(ActorError, match=r"ValidationError.*\$\.balance"):
            await actor.spoil()
        assert await actor.pay(1) == 6


async def test_integers_the_runtime_would_round_are_refused() -> None:
    """A state with an integer beyond 2^53 fails its turn instead of becoming another number."""
    async with hosting(app_of(CountActor)) as stage:
        stage.sidecar.store["CountActor", "c", "state"] = b"%d" % 2**53
        with pytest.raises(ActorError, match="beyond"):
            await stage.client.actor(CountActor, "c").up()


async def test_a_runtime_without_times_of_states_says_what_to_do() -> None:
    """The real runtime keeps no time to live unless a feature is on; the error says how."""
    text = (
        b'{"errorCode":"ERR_ACTOR_STATE_TRANSACTION_SAVE","message":"ttlInSeconds is not supported '
        b'without the \\"ActorStateTTL\\" feature enabled"}'
    )
    async with hosting(app_of(PartsActor)) as stage:
        stage.sidecar.refuse = lambda request: (
            HttpResponse(500, (), text)
            if request.method == "PUT" and "/state" in request.target
            else None
        )
        answer = await stage.sidecar.call("PartsActor", "ann", "log_in", b'"t1"')
        assert b"features: [{name: ActorStateTTL, enabled: true}]" in answer.body
