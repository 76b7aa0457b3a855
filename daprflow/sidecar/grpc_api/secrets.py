"""The secrets methods: one secret, or all of a store."""

from collections.abc import Mapping

from daprflow.protocol import messages
from daprflow.sidecar.grpc_api.call import GrpcCall, Method


async def _get(call: GrpcCall, request: messages.GetSecretRequest) -> messages.GetSecretResponse:
    block = call.runtime.secrets
    pairs = await block.get(request.store_name, request.key, request.metadata)
    return messages.GetSecretResponse(data=pairs)


async def _bulk(
    call: GrpcCall, request: messages.GetBulkSecretRequest
) -> messages.GetBulkSecretResponse:
    found = await call.runtime.secrets.bulk(request.store_name, request.metadata)
    secrets = {name: messages.SecretResponse(secrets=pairs) for name, pairs in found.items()}
    return messages.GetBulkSecretResponse(data=secrets)


METHODS: Mapping[str, Method] = {
    "GetSecret": Method(_get, messages.GetSecretRequest),
    "GetBulkSecret": Method(_bulk, messages.GetBulkSecretRequest),
}
