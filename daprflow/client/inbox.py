"""Marks in a state store that say which events were handled, and which are being handled."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING
from uuid import uuid4

import msgspec

from daprflow.client.backoff import pauses
from daprflow.errors import EtagMismatch, SidecarError

if TYPE_CHECKING:
    from daprflow.client import Client

logger = logging.getLogger(__name__)

_TRIES = 4
_PARTS = 3
"""A claim is renewed so many times while it lasts."""


class Mark(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the store has under an event's key.

    Attributes:
        by: who claimed it.
        until: when a claim ends, or the window of what is done; in seconds since 1970.
        done: whether it was handled.
    """

    by: str
    until: float
    done: bool = False


class Seen(Enum):
    """Why an event is not to be handled now."""

    DONE = "done"
    RUNNING = "running"


class Claim(msgspec.Struct, frozen=True):
    """An event that this process may handle."""

    key: str
    by: str


class Inbox:
    """Events that are handled at most once within a window.

    Args:
        client: of the sidecar that has the store.
        store: the state store's name; it needs ETags.
        window: how long an event that was handled is remembered.
        lease: how long a claim lasts that is not renewed: its process died.
    """

    def __init__(self, client: "Client", store: str, window: timedelta, lease: timedelta) -> None:
        self._store = client.state(store)
        self._now = client._caller.way.now  # noqa: SLF001 - of the same package
        self._window = window
        self._lease = lease

    async def claim(self, key: str) -> Claim | Seen:
        """Claim an event, or say why not.

        Raises:
            SidecarError: the store cannot be asked.
        """
        by = uuid4().hex
        for _ in range(_TRIES):
            try:
                await self._write(key, self._mark(by), None)
            except EtagMismatch:
                found = await self._store.get(key, Mark, consistency="strong")
            else:
                return Claim(key, by)
            if found is None:
                continue  # it ended in between
            if found.value.until > self._now():
                return Seen.DONE if found.value.done else Seen.RUNNING
            try:
                await self._write(key, self._mark(by), found.etag)
            except EtagMismatch:
                continue
            return Claim(key, by)
        return Seen.RUNNING

    async def done(self, claim: Claim) -> bool:
        """Note that an event was handled; whether that could be written."""
        until = self._now() + self._window.total_seconds()
        mark, waits = Mark(claim.by, until, done=True), pauses()
        for left in reversed(range(_TRIES)):
            try:
                await self._store.set(claim.key, mark, ttl=self._window)
            except SidecarError as error:
                if not left:
                    logger.warning("that an event was handled could not be noted: %s", error)
                    return False
                await asyncio.sleep(next(waits))
            else:
                break
        return True

    async def release(self, claim: Claim) -> None:
        """Give an event back that was not handled; one that is not ours any more stays."""
        try:
            found = await self._store.get(claim.key, Mark, consistency="strong")
            if found is not None and found.value.by == claim.by and not found.value.done:
                await self._store.delete(claim.key, etag=found.etag)
        except EtagMismatch:
            pass  # somebody else has it since
        except SidecarError as error:
            logger.warning("a claim could not be given back and ends by itself: %s", error)

    @asynccontextmanager
    async def renewed(self, claims: Sequence[Claim]) -> AsyncIterator[None]:
        """Keep claims while the block runs."""
        keeping = asyncio.create_task(self._renew(claims), name="daprflow inbox renews")
        try:
            yield
        finally:
            keeping.cancel()
            await asyncio.wait([keeping])

    async def _renew(self, claims: Sequence[Claim]) -> None:
        left = set(claims)
        while left:
            await asyncio.sleep(self._lease.total_seconds() / _PARTS)
            for claim in tuple(left):
                try:
                    found = await self._store.get(claim.key, Mark, consistency="strong")
                    if found is None or found.value.by != claim.by:
                        logger.warning("an event's claim ended while it was handled")
                        left.discard(claim)
                        continue
                    await self._write(claim.key, self._mark(claim.by), found.etag)
                except SidecarError as error:
                    logger.warning("an event's claim could not be renewed: %s", error)

    def _mark(self, by: str) -> Mark:
        return Mark(by, self._now() + self._lease.total_seconds())

    async def _write(self, key: str, mark: Mark, etag: str | None) -> None:
        kept = self._window + self._lease
        await self._store.set(key, mark, etag=etag, ttl=kept, concurrency="first-write")
