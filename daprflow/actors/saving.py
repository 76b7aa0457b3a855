"""An actor's state, reminders and timers at its sidecar: what is read before and done after."""

import asyncio
import logging
import math
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from daprflow.actors.memory import NOTHING, Memory, Stored
from daprflow.actors.turn import Turn
from daprflow.errors import DaprFlowError, SidecarError
from daprflow.protocol import actor_calls as calls
from daprflow.protocol.actors import ActorStateItem, ActorStateOperation
from daprflow.protocol.http import HttpRequest, HttpResponse

if TYPE_CHECKING:
    from daprflow.actors.part import Part
    from daprflow.client.caller import Caller

logger = logging.getLogger(__name__)

_CONFLICT = 409
_NO_CONTENT = 204


class StateError(DaprFlowError):
    """What belongs to an actor could not be loaded or saved; the text says why."""


class Keeper:
    """Loads and saves what belongs to the actors of one type."""

    def __init__(self, kind: str, parts: "tuple[Part[Any], ...]") -> None:
        self._parts = {part.key: part for part in parts}
        self._kind = kind
        self.caller: Caller | None = None

    async def load(self, actor_id: str) -> dict[str, Stored]:
        """Read every part of an actor's state.

        Raises:
            StateError: the sidecar refused, or did not answer.
        """
        keys = tuple(self._parts)
        if len(keys) == 1:
            return {keys[0]: await self._read(actor_id, keys[0])}
        found = await asyncio.gather(*(self._read(actor_id, key) for key in keys))
        return dict(zip(keys, found, strict=True))

    async def save(self, turn: Turn, actor_id: str, now: float) -> None:
        """Do what a turn asked for: reminders and timers first, then the state, all or nothing.

        A tick that comes although the state could not be saved is harmless, one that is missing is
        not. So deletions come last.

        Raises:
            StateError: the sidecar refused, or did not answer.
            ValueError: a value cannot be kept, or is not of its type.
        """
        memory = turn.memory
        changes = turn.changed(memory.format.encode)
        for key, document in changes.items():
            if document is not None:
                memory.format.decode(key, document)  # else no later turn could begin
        if turn.reminders or turn.timers:
            await self._place(turn, actor_id)
        if changes:
            await self._write(memory, actor_id, changes, now)
        if turn.reminders or turn.timers:
            await self._delete(turn, actor_id)

    async def _read(self, actor_id: str, key: str) -> Stored:
        response = await self._ask(calls.get_state(self._kind, actor_id, key))
        if response.status == _NO_CONTENT:
            return NOTHING
        return Stored(response.body, _moment(response.header(calls.EXPIRES_HEADER)))

    async def _place(self, turn: Turn, actor_id: str) -> None:
        for name, reminder in turn.reminders.items():
            if reminder is None:
                continue
            try:
                await self._ask(calls.set_reminder(self._kind, actor_id, name, reminder))
            except StateError as error:
                if _status(error) != _CONFLICT or reminder.overwrite is not False:
                    raise
        for name, timer in turn.timers.items():
            if timer is not None:
                await self._ask(calls.set_timer(self._kind, actor_id, name, timer))

    async def _write(
        self, memory: Memory, actor_id: str, changes: Mapping[str, bytes | None], now: float
    ) -> None:
        operations = [self._operation(key, document) for key, document in changes.items()]
        stored, memory.stored = memory.stored or {}, None  # unknown, until the answer is there
        await self._ask(calls.transact(self._kind, actor_id, operations))
        for key, document in changes.items():
            ttl = self._parts[key].ttl
            expires = None if ttl is None else now + ttl.total_seconds()
            stored[key] = NOTHING if document is None else Stored(document, expires)
        memory.stored = stored

    def _operation(self, key: str, document: bytes | None) -> ActorStateOperation:
        if document is None:
            return ActorStateOperation("delete", ActorStateItem(key))
        ttl = self._parts[key].ttl
        metadata = None if ttl is None else {"ttlInSeconds": str(math.ceil(ttl.total_seconds()))}
        return ActorStateOperation(
            "upsert", ActorStateItem(key, msgspec.Raw(document), metadata=metadata)
        )

    async def _delete(self, turn: Turn, actor_id: str) -> None:
        """Delete reminders and timers; what remains comes once more, which harms nobody."""
        gone = [
            calls.delete_reminder(self._kind, actor_id, name)
            for name, reminder in turn.reminders.items()
            if reminder is None
        ]
        gone += [
            calls.delete_timer(self._kind, actor_id, name)
            for name, timer in turn.timers.items()
            if timer is None
        ]
        for request in gone:
            try:
                await self._ask(request)
            except StateError as error:
                logger.warning(
                    "a reminder or timer of %s is not deleted, though its turn is saved: %s",
                    turn.address,
                    error,
                )

    async def _ask(self, request: HttpRequest) -> HttpResponse:
        if self.caller is None:
            raise RuntimeError("the app has not started: run it with its lifespan")
        try:
            return await self.caller.call(request)
        except SidecarError as error:
            raise StateError(str(error)) from error


def _status(error: StateError) -> int:
    return error.__cause__.status if isinstance(error.__cause__, SidecarError) else 0


def _moment(text: str) -> float | None:
    return datetime.fromisoformat(text).timestamp() if text else None
