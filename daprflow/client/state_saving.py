"""How writes reach a state store: over HTTP, and over gRPC where bytes are among them."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from daprflow.client import failures
from daprflow.client.caller import Caller
from daprflow.client.describing import Purpose
from daprflow.client.grpc_calls import GrpcCall, carry
from daprflow.client.opening import CLIENT_IN_WORKFLOW
from daprflow.client.state_writes import Upsert, Write, item_of, transaction_of
from daprflow.protocol import state as calls
from daprflow.protocol.http import Headers
from daprflow.protocol.state import StateItem
from daprflow.transports.events import CallRefused
from daprflow.workflows.trap import refuse_in_workflow

if TYPE_CHECKING:
    from daprflow.transports.grpc_state import Way


_Send = Callable[[Headers, float | None], Awaitable[None]]


class Prepared(msgspec.Struct, frozen=True):
    """A write as it will go; ``raw`` if it holds bytes, which take gRPC."""

    item: StateItem
    raw: bool = False


def prepare(caller: Caller, write: Write) -> Prepared:
    """Return a write as it will go, encoded once.

    Raises:
        ValueError: it cannot be written.
    """
    raw = _is_raw(caller, write)
    return Prepared(item_of(write, caller.codecs, raw=raw), raw)


async def save(caller: Caller, store: str, writes: Sequence[Prepared]) -> None:
    """Write values, each for itself.

    Raises:
        SidecarError: the sidecar or the store refused.
    """
    items = tuple(write.item for write in writes)
    if not any(write.raw for write in writes):
        await caller.call(calls.save(store, items))
        return

    async def send(headers: Headers, seconds: float | None) -> None:
        way = await _way(caller, store, headers, seconds)
        from daprflow.transports import grpc_state  # noqa: PLC0415 - loaded by now

        await grpc_state.save(way, store, items)

    await _told(caller, Purpose("state", "save", store), "SaveState", send)


async def transact(
    caller: Caller, store: str, writes: tuple[Write, ...], metadata: Mapping[str, str]
) -> None:
    """Do every write or none.

    Raises:
        ValueError: a value cannot be written; nothing was.
        SidecarError: the sidecar or the store refused.
    """
    raw = any(_is_raw(caller, write) for write in writes)
    transaction = transaction_of(writes, metadata, caller.codecs, raw=raw)
    if not raw:
        await caller.call(calls.transact(store, transaction))
        return

    async def send(headers: Headers, seconds: float | None) -> None:
        way = await _way(caller, store, headers, seconds)
        from daprflow.transports import grpc_state  # noqa: PLC0415 - loaded by now

        await grpc_state.transact(way, store, transaction)

    await _told(caller, Purpose("state", "transaction", store), "ExecuteStateTransaction", send)


async def _told(caller: Caller, purpose: Purpose, method: str, send: _Send) -> None:
    """Make a call over gRPC; its refusal is the error that it is over HTTP."""
    refuse_in_workflow(*CLIENT_IN_WORKFLOW)
    seconds = caller.seconds(caller.block_timeout)
    counted = f"/v1.0/state/{purpose.target}"
    try:
        await carry(caller.way, GrpcCall(purpose, method, seconds, send, counted))
    except CallRefused as error:
        raise failures.of_call(error) from None


def _is_raw(caller: Caller, write: Write) -> bool:
    """Tell whether bytes are what is written, and there is a way for them."""
    return (
        isinstance(write, Upsert)
        and isinstance(write.value, bytes | bytearray | memoryview)
        and caller.way.has_grpc
    )


async def _way(caller: Caller, store: str, headers: Headers, seconds: float | None) -> "Way":
    channels = caller.way.channels
    channel = await channels.to_sidecar(store, "state")
    from daprflow.transports.grpc_state import Way  # noqa: PLC0415 - loaded by now

    return Way(channel, channels.token, seconds, headers)
