from datetime import timedelta

import pytest

from daprflow import Actor, ActorError
from daprflow.testing import TestSidecar, planned
from examples.actors.app import AccountActor, CartActor, PumpActor, app, check_out


async def test_a_forgotten_cart_empties_itself() -> None:
    """An hour after the last addition the reminder comes."""
    async with TestSidecar(app) as dapr:
        cart = dapr.actor(CartActor, "ann")
        assert await cart.add("tea") == 1
        await dapr.advance(timedelta(minutes=50))
        assert await cart.add("cup", 2) == 3
        await dapr.advance(timedelta(minutes=50))
        assert await cart.items() == ["tea", "cup", "cup"]
        await dapr.advance(timedelta(minutes=15))
        assert await cart.items() == []


async def test_paying() -> None:
    """A paid cart is empty and forgets its reminder; an empty one says so."""
    async with TestSidecar(app) as dapr:
        await dapr.actor(CartActor, "ann").add("tea", 3)
        assert await dapr.invoke(check_out, "ann") == "3 paid"
        assert await dapr.invoke(check_out, "ann") == "there is nothing to pay for"


async def test_a_failed_turn_changes_nothing() -> None:
    """An account that would be overdrawn keeps its balance, in memory and in the store."""
    async with TestSidecar(app) as dapr:
        ann, bob = dapr.actor(AccountActor, "ann"), dapr.actor(AccountActor, "bob")
        await ann.deposit(10)
        with pytest.raises(ActorError, match="ValueError: the account would be overdrawn"):
            await ann.move(15, "bob")
        assert await ann.deposit(0) == 10
        assert await ann.move(4, "bob") == 6
        assert await bob.deposit(0) == 4


async def test_a_login_ends() -> None:
    """A part with a time to live is gone when that is over."""
    async with TestSidecar(app) as dapr:
        ann = dapr.actor(AccountActor, "ann")
        await ann.log_in("phone")
        await dapr.advance(timedelta(minutes=29))
        assert await ann.device() == "phone"
        await dapr.advance(timedelta(minutes=1))
        assert await ann.device() == ""


async def test_a_pump_stops() -> None:
    """A timer that raises StopReminder comes no more."""
    async with TestSidecar(app) as dapr:
        pump = dapr.actor(PumpActor, "1")
        await pump.start(3)
        await dapr.advance(timedelta(seconds=10))
        assert await pump.strokes() == 3


async def test_an_actor_alone() -> None:
    """Without a sidecar an actor is a class like others, and tells what it asked for."""
    cart = CartActor()
    assert await cart.add("tea") == 1
    reminder = planned(cart).reminders["expire"]
    assert isinstance(cart, Actor)
    assert reminder is not None
    assert reminder.due_time == "3600s"
