"""An ASGI app whose lifespan is running, as under a server."""

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


class RunningApp:
    """Runs an app's lifespan in a task of its own and gives its state to every request."""

    def __init__(self, app: "ASGIApp") -> None:
        self._app = app
        self._state: dict[str, Any] = {}
        self._asked = False
        self._answered = asyncio.Event()
        self._ending = asyncio.Event()
        self._failure: str | None = None
        self._task: asyncio.Task[None] | None = None

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Pass a request on, with a copy of the lifespan's state."""
        await self._app({**scope, "state": dict(self._state)}, receive, send)

    async def start(self) -> None:
        """Enter the lifespan.

        Raises:
            Exception: whatever the app raised, as itself.
            RuntimeError: the app answered that it failed and raised nothing.
        """
        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": self._state}
        self._task = asyncio.create_task(self._live(scope), name="lifespan of the app under test")
        try:
            await self._answered.wait()
        except BaseException:
            self._task.cancel()
            await asyncio.wait({self._task})
            raise
        if self._failure is not None or self._task.done():
            await self._task
            raise RuntimeError(self._failure or "the app ended its lifespan at once")

    async def stop(self) -> None:
        """Leave the lifespan; raises what the app raises."""
        self._ending.set()
        if self._task is not None:
            await self._task

    async def _live(self, scope: "Scope") -> None:
        try:
            await self._app(scope, self._receive, self._send)
        finally:
            self._answered.set()

    async def _receive(self) -> "Message":
        if self._asked:
            await self._ending.wait()
            return {"type": "lifespan.shutdown"}
        self._asked = True
        return {"type": "lifespan.startup"}

    async def _send(self, message: "Message") -> None:
        if message["type"] == "lifespan.startup.complete":
            self._answered.set()
        elif message["type"] == "lifespan.startup.failed":
            self._failure = message.get("message") or "the app failed to start"
