"""Peer: the same counter actor on Dapr's own FastAPI extension."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from dapr.actor import Actor, ActorInterface, actormethod
from dapr.ext.fastapi import DaprActor
from fastapi import FastAPI


class CounterInterface(ActorInterface):
    """The methods that can be called."""

    @actormethod(name="up")  # type: ignore[untyped-decorator]
    async def up(self) -> Any:
        """Count one more."""


class Counter(Actor, CounterInterface):
    """Counts its calls."""

    async def up(self) -> Any:
        """Count one more."""
        found, value = await self._state_manager.try_get_state("value")
        value = int(value or 0) + 1 if found else 1
        await self._state_manager.set_state("value", value)
        return value


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Register the actor, which takes an event loop."""
    await actors.register_actor(Counter)
    yield


app = FastAPI(lifespan=lifespan)
actors = DaprActor(app)
