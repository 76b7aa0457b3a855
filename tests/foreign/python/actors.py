"""Actors with the official Python SDK, hosted over HTTP or through a stream.

One line of JSON on standard output tells what came back from its sidecar.
"""

import asyncio
import json
import os
import sys
from datetime import timedelta
from typing import Any

import uvicorn
from dapr.actor import (
    Actor,
    ActorGrpcHost,
    ActorId,
    ActorInterface,
    ActorProxy,
    ActorRuntime,
    Remindable,
    actormethod,
)
from dapr.actor.runtime.config import ActorReentrancyConfig, ActorRuntimeConfig
from dapr.clients.exceptions import DaprInternalError
from dapr.ext.fastapi import DaprActor
from fastapi import FastAPI

TICKED = {"reminder": asyncio.Event(), "timer": asyncio.Event()}
DUE = timedelta(milliseconds=100)


class BookInterface(ActorInterface):
    """What can be called; the names on the wire are those of another language."""

    @actormethod(name="Add")  # type: ignore[untyped-decorator]
    async def add(self, entry: Any) -> Any:
        """Add an entry and return all."""

    @actormethod(name="Deep")  # type: ignore[untyped-decorator]
    async def deep(self, depth: Any) -> Any:
        """Come back into this turn that often."""

    @actormethod(name="Fail")  # type: ignore[untyped-decorator]
    async def fail(self) -> Any:
        """Raise."""

    @actormethod(name="Plan")  # type: ignore[untyped-decorator]
    async def plan(self) -> Any:
        """Ask for a timer and a reminder."""

    @actormethod(name="Forget")  # type: ignore[untyped-decorator]
    async def forget(self) -> Any:
        """Remove the entries, the timer and the reminder."""


class Book(Actor, BookInterface, Remindable):
    """Keeps entries."""

    async def add(self, entry: Any) -> Any:
        """Add an entry and return all."""
        _, entries = await self._state_manager.try_get_state("entries")
        entries = [*(entries or []), entry]
        await self._state_manager.set_state("entries", entries)
        return entries

    async def deep(self, depth: Any) -> Any:
        """Come back into this turn that often."""
        return 0 if not depth else 1 + await book(self.id.id).Deep(depth - 1)

    async def fail(self) -> Any:
        """Raise."""
        raise ValueError("the book is closed")

    async def plan(self) -> Any:
        """Ask for a timer and a reminder."""
        await self.register_timer("t", self.came, "timed", DUE, timedelta(minutes=1))
        await self.register_reminder("r", b"reminded", DUE, timedelta(minutes=1))

    async def forget(self) -> Any:
        """Remove the entries, the timer and the reminder."""
        await self.unregister_timer("t")
        await self.unregister_reminder("r")
        await self._state_manager.remove_state("entries")

    async def came(self, data: Any) -> None:
        """Take a tick of the timer."""
        await self.add(data)
        TICKED["timer"].set()

    async def receive_reminder(self, name: str, state: bytes, *_: Any) -> None:
        """Take a tick of the reminder."""
        await self.add(f"{name} {state.decode()}")
        TICKED["reminder"].set()


def book(actor_id: str) -> Any:
    """Return the proxy of a book."""
    return ActorProxy.create("Book", ActorId(actor_id), BookInterface)


async def see() -> dict[str, Any]:
    """Use actors and return what came of it."""
    seen: dict[str, Any] = {"added": [await book("ann").Add(each) for each in ("one", "two")]}
    seen["other"] = await book("bob").Add("three")
    try:
        answer = await book("ann").Fail()  # over gRPC what an actor says of its error is an answer
    except DaprInternalError as error:
        answer = error
    seen["failed"] = "the book is closed" in str(answer)
    await book("ann").Plan()
    async with asyncio.timeout(10):
        for event in TICKED.values():
            await event.wait()
    entries = await book("ann").Add("last")
    seen["ticked"] = sorted(entries)
    await book("ann").Forget()
    seen["anew"] = await book("ann").Add("first")
    seen["deep"] = await book("deep").Deep(3)
    return seen


async def over_http() -> dict[str, Any]:
    """Host through the FastAPI extension."""
    app = FastAPI()
    await DaprActor(app).register_actor(Book)
    port = int(os.environ["APP_PORT"])
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error"))
    serving = asyncio.create_task(server.serve())
    await _until_hosted()
    try:
        return await see()
    finally:
        server.should_exit = True
        await serving


async def through_a_stream() -> dict[str, Any]:
    """Host through a stream that the app opens."""
    host = ActorGrpcHost()
    await host.register_actor(Book)
    await host.start()
    try:
        return await see()
    finally:
        await host.close()


async def _until_hosted() -> None:
    """Wait until a call finds an actor: the sidecar looks for its app meanwhile."""
    async with asyncio.timeout(20):
        while True:
            try:
                await book("early").Add(0)
            except DaprInternalError:
                await asyncio.sleep(0.05)
            else:
                return


async def main() -> None:
    """Host, use, and tell."""
    ActorRuntime.set_actor_config(
        ActorRuntimeConfig(reentrancy=ActorReentrancyConfig(enabled=True))
    )
    speaks = os.environ["SPEAKS"]
    seen = await (over_http() if speaks == "HTTP" else through_a_stream())
    sys.stdout.write(json.dumps(seen) + "\n")


asyncio.run(main())
