"""Locks on the wire."""

from enum import IntEnum
from typing import Annotated

import msgspec

from daprflow.protocol.http import JSON, HttpRequest
from daprflow.protocol.operations import segment

MOST_SECONDS = 2**31 - 1


class TryLock(msgspec.Struct, frozen=True, rename="camel"):
    """The body of an attempt to take a lock."""

    resource_id: str = ""
    lock_owner: str = ""
    expiry_in_seconds: Annotated[int, msgspec.Meta(ge=-(2**31), le=MOST_SECONDS)] = 0


class TriedLock(msgspec.Struct, frozen=True):
    """The answer: whether the caller has the lock now."""

    success: bool


class Unlock(msgspec.Struct, frozen=True, rename="camel"):
    """The body of giving a lock back."""

    resource_id: str = ""
    lock_owner: str = ""


class Unlocked(IntEnum):
    """What became of an unlock call, in Dapr's numbers."""

    SUCCESS = 0
    LOCK_DOES_NOT_EXIST = 1
    LOCK_BELONGS_TO_OTHERS = 2
    INTERNAL_ERROR = 3


class UnlockAnswer(msgspec.Struct, frozen=True):
    """The answer to giving a lock back."""

    status: Unlocked


def try_lock(store: str, body: TryLock) -> HttpRequest:
    """Return the request that takes a lock if nobody has it."""
    return _post(f"/v1.0-alpha1/lock/{segment(store)}", body)


def unlock(store: str, body: Unlock) -> HttpRequest:
    """Return the request that gives a lock back."""
    return _post(f"/v1.0-alpha1/unlock/{segment(store)}", body)


def _post(path: str, body: msgspec.Struct) -> HttpRequest:
    return HttpRequest("POST", path, (("content-type", JSON),), msgspec.json.encode(body))
