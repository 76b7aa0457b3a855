"""Turns: what is loaded, what is saved, and what a failed one leaves."""

import asyncio
import gzip
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from daprflow import Actor, ActorError, DaprFlow, Retry, StopReminder
from daprflow.protocol.http import HttpRequest, HttpResponse
from tests.helpers.actor_stage import ActorStage, hosting

BROKEN = HttpResponse(500, (), b'{"errorCode":"ERR_ACTOR_STATE_TRANSACTION_SAVE","message":"no"}')


class Cart(msgspec.Struct):
    items: list[str] = []


class UntoldError(Exception):
    """An error whose text cannot be made."""

    def __str__(self) -> str:
        raise RuntimeError


class CartActor(Actor[Cart]):
    async def add(self, sku: str, count: int = 1) -> int:
        self.state.items += [sku] * count
        return len(self.state.items)

    async def show(self) -> list[str]:
        return self.state.items

    async def fail(self, sku: str) -> None:
        self.state.items.append(sku)
        await self.remind(self.expire, "failed", due=timedelta(hours=1))
        await self.set_timer(self.show, due=timedelta(hours=1))
        raise ValueError(f"no {sku}")

    async def again(self) -> None:
        self.state.items.append("again")
        raise Retry

    async def plan(self, sku: str) -> None:
        await self.remind(self.expire, sku, due=timedelta(hours=1))
        self.state.items.append(sku)

    async def expire(self, reason: str) -> None:
        if reason == "stop":
            self.state.items.append("last")
            raise StopReminder
        if reason == "boom":
            self.state.items.append("boom")
            raise RuntimeError("boom")
        self.state.items.clear()

    async def forget(self) -> None:
        await self.unremind(self.expire)
        self.state.items.append("forgot")

    async def clear(self) -> None:
        self.state = Cart()

    async def give_up(self) -> None:
        self.state.items.append("never")
        raise asyncio.CancelledError

    async def unsendable(self) -> Any:
        self.state.items.append("unsendable")
        return object()

    async def break_off(self) -> None:
        self.state.items.append("broken")
        raise UntoldError

    def helper(self) -> str:
        return "not remote"

    async def _private(self) -> str:
        return "not remote"


def is_save(request: HttpRequest) -> bool:
    """Whether a call saves the state."""
    return request.method == "PUT" and request.target.endswith("/state")


def shop() -> DaprFlow:
    """An app with one type of actors."""
    app = DaprFlow("shop")
    app.actor(CartActor)
    return app


def cart(stage: ActorStage, actor_id: str = "ann") -> CartActor:
    """A proxy of one cart."""
    return stage.client.actor(CartActor, actor_id)


async def test_a_turn_saves_what_changed() -> None:
    """The state is read once, and written in one transaction by the turns that change it."""
    async with hosting(shop()) as stage:
        assert await cart(stage).add("tea") == 1
        assert await cart(stage).add("cup", 2) == 3
        assert await cart(stage).show() == ["tea", "cup", "cup"]
        assert stage.sidecar.value("CartActor", "ann") == {"items": ["tea", "cup", "cup"]}
        about_state = [each for each in stage.sidecar.requests if "/state" in each]
        assert about_state == [
            "GET /v1.0/actors/CartActor/ann/state/state",
            "PUT /v1.0/actors/CartActor/ann/state",
            "PUT /v1.0/actors/CartActor/ann/state",
        ]


async def test_looking_is_not_writing() -> None:
    """A new actor whose state was only read is not stored."""
    async with hosting(shop()) as stage:
        assert await cart(stage).show() == []
        assert stage.sidecar.store == {}


@pytest.mark.row("FA-09")
async def test_a_failed_turn_leaves_no_trace() -> None:
    """An exception discards the state, reminders and timers of its turn, for good.

    The official SDK, 1.19.0, keeps them and writes them with the next good turn.
    """
    async with hosting(shop()) as stage:
        await cart(stage).add("tea")
        with pytest.raises(ActorError) as caught:
            await cart(stage).fail("cup")
        assert (caught.value.type, caught.value.message) == ("ValueError", "no cup")
        assert await cart(stage).show() == ["tea"]
        await cart(stage).add("pot")
        assert stage.sidecar.value("CartActor", "ann") == {"items": ["tea", "pot"]}
        assert not stage.sidecar.reminders
        assert not stage.sidecar.timers


@pytest.mark.row("FA-12")
async def test_an_error_that_cannot_be_told() -> None:
    """FA-12: one whose text cannot be made is the method's error still, with its type alone."""
    async with hosting(shop()) as stage:
        with pytest.raises(ActorError) as caught:
            await cart(stage).break_off()
        assert (caught.value.type, caught.value.message) == ("UntoldError", "")
        assert await cart(stage).show() == []


async def test_an_answer_that_cannot_be_sent_fails_its_turn() -> None:
    """What a method returns is encoded before anything is saved."""
    app = DaprFlow("shop")
    app.actor(CartActor)
    async with hosting(app) as stage:
        with pytest.raises(ActorError) as caught:
            await cart(stage).unsendable()
        assert caught.value.type == "TypeError"
        assert stage.sidecar.store == {}


async def test_retry_is_no_error_of_the_actor() -> None:
    """Retry is a 500, which resiliency policies repeat; the turn leaves no trace."""
    async with hosting(shop()) as stage:
        answer = await stage.sidecar.call("CartActor", "ann", "again")
        assert answer.status == 500
        assert stage.sidecar.store == {}


@pytest.mark.row("FA-11")
async def test_something_cancelled_inside_is_a_failure() -> None:
    """A CancelledError of something the method awaited fails the turn, and the app goes on."""
    async with hosting(shop()) as stage:
        with pytest.raises(ActorError, match="CancelledError"):
            await cart(stage).give_up()
        assert await cart(stage).show() == []


async def test_a_save_that_fails_is_not_kept() -> None:
    """When the state cannot be saved, the caller gets an error and the next turn what is stored."""
    async with hosting(shop()) as stage:
        await cart(stage).add("tea")
        stage.sidecar.refuse = lambda request: BROKEN if is_save(request) else None
        with pytest.raises(ActorError) as caught:
            await cart(stage).add("cup")
        assert caught.value.code == "ERR_ACTOR_INVOKE_METHOD"
        stage.sidecar.refuse = lambda _: None
        assert await cart(stage).show() == ["tea"]


async def test_a_save_whose_answer_is_lost_is_read_again() -> None:
    """When nobody knows whether the state was saved, the next turn reads what is stored."""
    async with hosting(shop()) as stage:
        await cart(stage).add("tea")
        stage.sidecar.lose = is_save
        with pytest.raises(ActorError):
            await cart(stage).add("cup")
        stage.sidecar.lose = lambda _: False
        assert await cart(stage).show() == ["tea", "cup"]


async def test_reminders_go_before_the_state() -> None:
    """A reminder is placed, then the state is saved, and then a reminder is deleted."""
    async with hosting(shop()) as stage:
        await cart(stage).plan("tea")
        assert stage.sidecar.requests[-2:] == [
            "PUT /v1.0/actors/CartActor/ann/reminders/expire",
            "PUT /v1.0/actors/CartActor/ann/state",
        ]
        await cart(stage).forget()
        assert stage.sidecar.requests[-2:] == [
            "PUT /v1.0/actors/CartActor/ann/state",
            "DELETE /v1.0/actors/CartActor/ann/reminders/expire",
        ]


async def test_a_tick_is_a_turn() -> None:
    """A reminder calls its method with its data; StopReminder saves the turn and deletes it."""
    async with hosting(shop()) as stage:
        await cart(stage).plan("stop")
        answer = await stage.sidecar.tick("CartActor", "ann", "expire")
        assert answer.status == 200
        assert answer.header("x-daprremindercancel") == "true"
        assert await cart(stage).show() == ["stop", "last"]
        assert not stage.sidecar.reminders


@pytest.mark.row("FA-09", "S-25")
async def test_a_failed_tick_is_told() -> None:
    """A tick whose method raises is a 500 for the runtime's failure policy, and says no more."""
    async with hosting(shop()) as stage:
        await cart(stage).plan("boom")
        answer = await stage.sidecar.tick("CartActor", "ann", "expire")
        assert answer.status == 500
        assert answer.body == b'{"error":"the tick failed; the log of the app says why"}'
        assert await cart(stage).show() == ["boom"]


@pytest.mark.row("FA-22", "S-21")
async def test_nothing_is_inflated() -> None:
    """FA-22: a compressed body is taken as it came, so there is no bomb to go off."""
    async with hosting(shop()) as stage:
        body = gzip.compress(b'["' + b"x" * 10_000_000 + b'"]')
        encoded = (("content-encoding", "gzip"), ("content-type", "application/json"))
        answer = await stage.sidecar.call("CartActor", "ann", "add", body, encoded)
        assert b"InvalidArguments" in answer.body
        assert await cart(stage).show() == []


@pytest.mark.parametrize(
    "name", ["_private", "helper", "state", "id", "remind", "__init__", "on_activate", "nothing"]
)
async def test_only_public_async_methods_can_be_called(name: str) -> None:
    """Anything else is answered 404, as a method that does not exist."""
    async with hosting(shop()) as stage:
        assert (await stage.sidecar.call("CartActor", "ann", name)).status == 404


@pytest.mark.row("FA-29")
@pytest.mark.parametrize("name", ["_private", "helper", "state", "__init__", "nothing"])
async def test_ticks_reach_public_methods_alone(name: str) -> None:
    """FA-29: a timer or a reminder that names anything else is refused, and nothing is run."""
    async with hosting(shop()) as stage:
        for path, body in (
            (f"timer/t?x={name}", b'{"callback":"%s"}' % name.encode()),
            (f"remind/{name}", b"{}"),
            ("remind/other", b'{"data":{"daprflow.method":"%s"}}' % name.encode()),
        ):
            answer = await stage.sidecar.to_app(
                HttpRequest("PUT", f"/actors/CartActor/ann/method/{path}", (), body)
            )
            assert answer.status == 500
