"""The lock routes: what they answer, and in which order they look at a request."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from daprflow.protocol.http import HttpRequest
from daprflow.sidecar.blocks.locks import lock_prefix
from daprflow.sidecar.components.base import ComponentError
from tests.helpers.sidecar import InProcessSidecar, in_process_sidecar

STORES = {
    "lock": ("lock.daprflow", {}),
    "mine": ("lock.daprflow", {"keyPrefix": "none"}),
}


@pytest.fixture
async def sidecar(tmp_path: Path) -> AsyncIterator[InProcessSidecar]:
    """A sidecar with two lock stores."""
    async with in_process_sidecar(tmp_path, STORES) as running:
        yield running


async def post(sidecar: InProcessSidecar, path: str, body: bytes) -> tuple[int, Any]:
    """Call a lock route; return status and body."""
    request = HttpRequest("POST", f"/v1.0-alpha1/{path}", (), body)
    answer = await sidecar.exchange.send(request)
    return answer.status, msgspec.json.decode(answer.body)


LOCK = b'{"resourceId": "r", "lockOwner": "me", "expiryInSeconds": 10}'
UNLOCK = b'{"resourceId": "r", "lockOwner": "me"}'


async def test_lock_and_unlock(sidecar: InProcessSidecar) -> None:
    """Both answers are written out, with the status as a number."""
    assert await post(sidecar, "lock/lock", LOCK) == (200, {"success": True})
    assert await post(sidecar, "lock/lock", LOCK) == (200, {"success": False})
    other = UNLOCK.replace(b"me", b"you")
    assert await post(sidecar, "unlock/lock", other) == (200, {"status": 2})
    assert await post(sidecar, "unlock/lock", UNLOCK) == (200, {"status": 0})
    assert await post(sidecar, "unlock/lock", UNLOCK) == (200, {"status": 1})


@pytest.mark.parametrize(
    "body",
    [
        b'{"resource_id": "r", "lock_owner": "me", "expiry_in_seconds": "10"}',
        b'{"resourceId": "r", "lockOwner": "me", "expiryInSeconds": 10, "storeName": "zzz"}',
    ],
)
async def test_protobufs_json_is_read(sidecar: InProcessSidecar, body: bytes) -> None:
    """Names in both spellings, numbers as text and unknown fields are taken; the path decides."""
    assert await post(sidecar, "lock/lock", body) == (200, {"success": True})


@pytest.mark.parametrize(
    ("path", "body", "expected", "message"),
    [
        ("lock/zzz", b"{}", (400, "ERR_MALFORMED_REQUEST"), "ExpiryInSeconds is not positive"),
        (
            "lock/zzz",
            b'{"expiryInSeconds": 1}',
            (400, "ERR_MALFORMED_REQUEST"),
            "ResourceId is empt",
        ),
        (
            "unlock/zzz",
            b'{"resourceId": "r"}',
            (400, "ERR_MALFORMED_REQUEST"),
            "LockOwner is empty",
        ),
        ("lock/zzz", LOCK, (400, "ERR_LOCK_STORE_NOT_FOUND"), "lock store zzz not found"),
        ("unlock/zzz", UNLOCK, (400, "ERR_LOCK_STORE_NOT_FOUND"), "lock store zzz not found"),
        ("lock/lock", b"[", (400, "ERR_MALFORMED_REQUEST"), "failed deserializing HTTP body: "),
        ("lock/lock", LOCK.replace(b"10", b"3000000000"), (400, "ERR_MALFORMED_REQUEST"), "failed"),
        (
            "lock/lock",
            LOCK.replace(b'"r"', b'"a||b"'),
            (500, "ERR_TRY_LOCK"),
            "failed to try acquiring lock: input key/keyPrefix 'a||b' can't contain '||'",
        ),
        (
            "unlock/lock",
            UNLOCK.replace(b'"r"', b'"a||b"'),
            (500, "ERR_UNLOCK"),
            "failed to release lock: input key/keyPrefix 'a||b' can't contain '||'",
        ),
    ],
)
async def test_refusals(
    sidecar: InProcessSidecar, path: str, body: bytes, expected: tuple[int, str], message: str
) -> None:
    """What is wrong is reported with the runtime's code and text."""
    status, error = await post(sidecar, path, body)
    assert (status, error["errorCode"]) == expected
    assert error["message"].startswith(message)


async def test_no_store_at_all(tmp_path: Path) -> None:
    """Without any store the error says so, after the expiry was looked at."""
    async with in_process_sidecar(tmp_path, {}) as sidecar:
        status, error = await post(sidecar, "lock/x", b'{"expiryInSeconds": 1}')
        assert (status, error["errorCode"]) == (500, "ERR_LOCK_STORE_NOT_CONFIGURED")
        status, error = await post(sidecar, "lock/x", b"{}")
        assert (status, error["errorCode"]) == (400, "ERR_MALFORMED_REQUEST")


@pytest.mark.parametrize("target", ["GET /v1.0-alpha1/lock/lock", "POST /v1.0/lock/lock"])
async def test_other_routes_are_none(sidecar: InProcessSidecar, target: str) -> None:
    """The routes are alpha, and for POST alone."""
    method, _, path = target.partition(" ")
    answer = await sidecar.exchange.send(HttpRequest(method, path, (), LOCK))
    assert answer.status == 404


@pytest.mark.parametrize(
    ("strategy", "prefix"),
    [
        ("appid", "lock||app1||"),
        ("name", "lock||store||"),
        ("none", "lock||"),
        ("Team", "lock||team||"),
    ],
)
def test_prefixes(strategy: str, prefix: str) -> None:
    """A resource's name in the store begins as the real runtime has it."""
    assert lock_prefix(strategy, "store", "app1") == prefix


def test_a_prefix_with_the_separator_is_refused() -> None:
    """A prefix that could be taken for another one's key stops the start."""
    with pytest.raises(ComponentError, match=r"can't contain '\|\|'"):
        lock_prefix("a||b", "store", "app1")


async def test_one_of_64_racers_gets_it(sidecar: InProcessSidecar) -> None:
    """However many try at the same time, one is told that it has the lock."""
    bodies = [LOCK.replace(b"me", b"owner %d" % number) for number in range(64)]
    answers = await asyncio.gather(*(post(sidecar, "lock/lock", body) for body in bodies))
    assert [answer["success"] for _, answer in answers].count(True) == 1
