"""The lock methods: take a lock, and give it back."""

from collections.abc import Mapping

from daprflow.protocol import messages
from daprflow.protocol.locks import TryLock, Unlock
from daprflow.sidecar.grpc_api.call import GrpcCall, Method


async def _try_lock(call: GrpcCall, request: messages.TryLockRequest) -> messages.TryLockResponse:
    asked = TryLock(request.resource_id, request.lock_owner, request.expiry_in_seconds)
    taken = await call.runtime.locks.try_lock(request.store_name, asked)
    return messages.TryLockResponse(success=taken)


async def _unlock(call: GrpcCall, request: messages.UnlockRequest) -> messages.UnlockResponse:
    asked = Unlock(request.resource_id, request.lock_owner)
    status = await call.runtime.locks.unlock(request.store_name, asked)
    return messages.UnlockResponse(status=messages.UnlockResponse.Status.Value(status.name))


METHODS: Mapping[str, Method] = {
    "TryLockAlpha1": Method(_try_lock, messages.TryLockRequest, whole=True),
    "UnlockAlpha1": Method(_unlock, messages.UnlockRequest, whole=True),
}
