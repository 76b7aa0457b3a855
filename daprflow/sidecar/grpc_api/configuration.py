"""The configuration methods: get items, and be told of their changes in a stream."""

from collections.abc import AsyncIterator, Mapping

from daprflow.protocol import messages
from daprflow.protocol.configuration import ConfigurationItem
from daprflow.sidecar.grpc_api.call import GrpcCall, Method, Shape


async def _get(
    call: GrpcCall, request: messages.GetConfigurationRequest
) -> messages.GetConfigurationResponse:
    block = call.runtime.configuration
    items = await block.get(request.store_name, list(request.keys), request.metadata)
    return messages.GetConfigurationResponse(items=_items(items))


async def _subscribe(
    call: GrpcCall, request: messages.SubscribeConfigurationRequest
) -> AsyncIterator[messages.SubscribeConfigurationResponse]:
    """Send the id, then every change, until the client leaves or unsubscribes."""
    block = call.runtime.configuration
    updates = await block.updates(request.store_name, sorted(request.keys), request.metadata)
    try:
        yield messages.SubscribeConfigurationResponse(id=updates.id)
        async for items in updates:
            yield messages.SubscribeConfigurationResponse(id=updates.id, items=_items(items))
    finally:
        await block.end_updates(updates.id)


async def _unsubscribe(
    call: GrpcCall, request: messages.UnsubscribeConfigurationRequest
) -> messages.UnsubscribeConfigurationResponse:
    if await call.runtime.configuration.end_updates(request.id):
        return messages.UnsubscribeConfigurationResponse(ok=True)
    text = f"failed to unsubscribe to configuration request {request.id}: "
    text += "subscription does not exist"
    return messages.UnsubscribeConfigurationResponse(ok=False, message=text)


def _items(
    items: Mapping[str, ConfigurationItem],
) -> dict[str, messages.ConfigurationItem]:
    return {
        key: messages.ConfigurationItem(
            value=item.value, version=item.version, metadata=item.metadata or {}
        )
        for key, item in items.items()
    }


_GET = Method(_get, messages.GetConfigurationRequest)
_SUBSCRIBE = Method(_subscribe, messages.SubscribeConfigurationRequest, Shape.SERVER_STREAM)
_UNSUBSCRIBE = Method(_unsubscribe, messages.UnsubscribeConfigurationRequest, whole=True)

METHODS: Mapping[str, Method] = {
    "GetConfiguration": _GET,
    "GetConfigurationAlpha1": _GET,
    "SubscribeConfiguration": _SUBSCRIBE,
    "SubscribeConfigurationAlpha1": _SUBSCRIBE,
    "UnsubscribeConfiguration": _UNSUBSCRIBE,
    "UnsubscribeConfigurationAlpha1": _UNSUBSCRIBE,
}
