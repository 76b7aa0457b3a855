"""Locks over gRPC."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daprflow.protocol import messages as m
from tests.helpers.grpc_calls import refusal
from tests.helpers.grpc_sidecar import GrpcSidecar, grpc_sidecar


@pytest.fixture
async def sidecar(tmp_path: Path) -> AsyncIterator[GrpcSidecar]:
    """A sidecar with a store."""
    async with grpc_sidecar(tmp_path, {"lock": ("lock.daprflow", {})}) as running:
        yield running


def wanted(owner: str, seconds: int = 60, resource: str = "r") -> m.TryLockRequest:
    """Return a request for the lock."""
    return m.TryLockRequest(
        store_name="lock", resource_id=resource, lock_owner=owner, expiry_in_seconds=seconds
    )


async def test_one_owner_at_a_time(sidecar: GrpcSidecar) -> None:
    """A lock is its owner's until that one gives it back."""
    stub, unlock = sidecar.stub, m.UnlockRequest(store_name="lock", resource_id="r", lock_owner="b")
    assert (await stub.TryLockAlpha1(wanted("a"))).success
    assert not (await stub.TryLockAlpha1(wanted("b"))).success
    answer = await stub.UnlockAlpha1(unlock)
    assert answer.status == m.UnlockResponse.LOCK_BELONGS_TO_OTHERS
    unlock.lock_owner = "a"
    assert (await stub.UnlockAlpha1(unlock)).status == m.UnlockResponse.SUCCESS
    assert (await stub.UnlockAlpha1(unlock)).status == m.UnlockResponse.LOCK_DOES_NOT_EXIST


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (wanted("a", 0), "ExpiryInSeconds is not positive in lock store lock"),
        (wanted("a", resource=""), "ResourceId is empty in lock store lock"),
        (wanted(""), "LockOwner is empty in lock store lock"),
    ],
)
async def test_what_is_missing(sidecar: GrpcSidecar, request_: m.TryLockRequest, text: str) -> None:
    """A request that lacks something is told what, without details."""
    found = await refusal(sidecar.stub.TryLockAlpha1(request_))
    assert (found.code, found.text, found.info) == ("INVALID_ARGUMENT", text, None)


async def test_an_illegal_resource(sidecar: GrpcSidecar) -> None:
    """A resource's name must not hold the separator; that is an internal error."""
    found = await refusal(sidecar.stub.TryLockAlpha1(wanted("a", resource="a||b")))
    text = "failed to try acquiring lock: input key/keyPrefix 'a||b' can't contain '||'"
    assert (found.code, found.text) == ("INTERNAL", text)
