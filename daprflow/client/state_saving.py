"""How writes reach a state store: over HTTP, and over gRPC where bytes are among them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from daprflow.client import failures
from daprflow.client.caller import Caller
from daprflow.client.state_writes import Delete, Upsert, Write, item_of, transaction_of
from daprflow.protocol import state as calls
from daprflow.transports.events import CallRefused

if TYPE_CHECKING:
    from daprflow.transports.grpc_state import Way


async def save(caller: Caller, store: str, writes: Sequence[Upsert]) -> None:
    """Write values, each for itself.

    Raises:
        ValueError: a value cannot be written; nothing was.
        SidecarError: the sidecar or the store refused.
    """
    raw = _is_raw(caller, writes)
    items = tuple(item_of(write, caller.codecs, raw=raw) for write in writes)
    if not raw:
        await caller.call(calls.save(store, items))
        return
    way = await _way(caller, store)
    from daprflow.transports import grpc_state  # noqa: PLC0415 - loaded by now

    try:
        await grpc_state.save(way, store, items)
    except CallRefused as error:
        raise failures.of_call(error) from None


async def transact(
    caller: Caller, store: str, writes: tuple[Write, ...], metadata: Mapping[str, str]
) -> None:
    """Do every write or none.

    Raises:
        ValueError: a value cannot be written; nothing was.
        SidecarError: the sidecar or the store refused.
    """
    raw = _is_raw(caller, writes)
    transaction = transaction_of(writes, metadata, caller.codecs, raw=raw)
    if not raw:
        await caller.call(calls.transact(store, transaction))
        return
    way = await _way(caller, store)
    from daprflow.transports import grpc_state  # noqa: PLC0415 - loaded by now

    try:
        await grpc_state.transact(way, store, transaction)
    except CallRefused as error:
        raise failures.of_call(error) from None


def _is_raw(caller: Caller, writes: Sequence[Write]) -> bool:
    """Tell whether bytes are among what is written, and there is a way for them."""
    return caller.way.has_grpc and any(
        not isinstance(write, Delete) and isinstance(write.value, bytes | bytearray | memoryview)
        for write in writes
    )


async def _way(caller: Caller, store: str) -> "Way":
    channels = caller.way.channels
    channel = await channels.to_sidecar(store, "state")
    from daprflow.transports.grpc_state import Way  # noqa: PLC0415 - loaded by now

    seconds = caller.block_timeout or caller.way.settings.http_timeout
    return Way(channel, channels.token, seconds)
