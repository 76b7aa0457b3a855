"""How calls over gRPC fail."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from typing import Any

import grpc
import pytest

from daprflow.protocol import messages as m
from tests.helpers.timing import eventually


@dataclass(frozen=True, slots=True)
class Refusal:
    """How a call failed; ``info`` is its only detail, None where it has none."""

    code: str
    text: str
    info: m.ErrorInfo | None


async def refusal(call: Awaitable[Any]) -> Refusal:
    """Return how a call fails."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    error = raised.value
    found = [
        value
        for name, value in error.trailing_metadata() or ()
        if name == "grpc-status-details-bin" and isinstance(value, bytes)
    ]
    return Refusal(error.code().name, error.details() or "", _info(found[0]) if found else None)


def _info(raw: bytes) -> m.ErrorInfo:
    status = m.RpcStatus.FromString(raw)
    (detail,) = status.details
    info = m.ErrorInfo()
    assert detail.Unpack(info)
    return info


@contextlib.asynccontextmanager
async def nothing_left() -> AsyncIterator[None]:
    """Check that, soon after the block, as few tasks run as before."""
    before = len(asyncio.all_tasks())  # the server renews some of its own
    yield
    await eventually(lambda: len(asyncio.all_tasks()) <= before)
