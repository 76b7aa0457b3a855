"""The cryptography methods: documents sealed and opened in streams of pieces."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, NoReturn

from daprflow.protocol import faults, messages
from daprflow.sidecar.blocks.encrypted_document import DocumentError, Sealing
from daprflow.sidecar.clock import sleep_until
from daprflow.sidecar.grpc_api.call import GrpcCall, Method, Shape

FIRST = 5.0
"""Seconds in which the first message has to come."""


async def _encrypt(
    call: GrpcCall, requests: AsyncIterator[messages.EncryptRequest]
) -> AsyncIterator[messages.EncryptResponse]:
    first = await _first(call, requests)
    options = _options(first)
    if not options.key_name:
        raise faults.bad_request("missing property 'keyName' in the options message")
    if not options.key_wrap_algorithm:
        raise faults.bad_request("missing property 'keyWrapAlgorithm' in the options message")
    block = call.runtime.cryptography
    provider = block.provider(options.component_name)
    sealing = Sealing(
        options.key_name,
        options.key_wrap_algorithm.upper(),
        options.data_encryption_cipher.upper(),
        options.decryption_key_name,
        options.omit_decryption_key_name,
    )
    async for payload in _numbered(block.encrypt_stream(provider, _data(first, requests), sealing)):
        yield messages.EncryptResponse(payload=payload)


async def _decrypt(
    call: GrpcCall, requests: AsyncIterator[messages.DecryptRequest]
) -> AsyncIterator[messages.DecryptResponse]:
    first = await _first(call, requests)
    options = _options(first)
    block = call.runtime.cryptography
    provider = block.provider(options.component_name)
    opened = block.decrypt_stream(provider, _data(first, requests), options.key_name)
    async for payload in _numbered(opened):
        yield messages.DecryptResponse(payload=payload)


async def _first(call: GrpcCall, requests: AsyncIterator[Any]) -> Any:
    """Return the first message, which has to come soon."""

    async def receive() -> Any:
        return await anext(requests, None)

    clock = call.runtime.engine.clock
    receiving = asyncio.create_task(receive())
    waiting = asyncio.create_task(sleep_until(clock, clock.now() + FIRST))
    try:
        await asyncio.wait({receiving, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if not receiving.done():
            text = "error waiting for first message: context deadline exceeded"
            raise faults.bad_request(text)
        found = receiving.result()
    finally:
        for task in (receiving, waiting):
            task.cancel()
        await asyncio.gather(receiving, waiting, return_exceptions=True)
    if found is None:
        raise faults.crypto_failed("error receiving the first message: EOF")
    return found


def _options(first: Any) -> Any:
    if not first.HasField("options"):
        raise faults.bad_request("first message does not contain the required options")
    return first.options


async def _data(first: Any, requests: AsyncIterator[Any]) -> AsyncIterator[bytes]:
    """Yield the data of every message; their numbers have to count from 0."""
    message, expected = first, 0
    while message is not None:
        if message.HasField("payload"):
            payload = message.payload
            yield payload.data
            if payload.seq != expected:
                text = f"invalid sequence number received: {payload.seq} (expected: {expected})"
                raise DocumentError(text)
            expected += 1
        message = await anext(requests, None)
        if message is not None and message.HasField("options"):
            raise DocumentError("options found in non-leading message")


async def _numbered(parts: AsyncIterator[bytes]) -> AsyncIterator[messages.StreamPayload]:
    number = 0
    async for part in parts:
        if part:
            yield messages.StreamPayload(data=part, seq=number)
            number += 1


def _subtle(kind: type[messages.Message]) -> Method:
    async def refuse(_call: GrpcCall, _request: messages.Message) -> NoReturn:
        """Answer as official builds of the runtime do, which leave these methods out."""
        raise faults.unimplemented()

    return Method(refuse, kind)


METHODS: Mapping[str, Method] = {
    "EncryptAlpha1": Method(_encrypt, messages.EncryptRequest, Shape.BOTH_STREAM),
    "DecryptAlpha1": Method(_decrypt, messages.DecryptRequest, Shape.BOTH_STREAM),
    "SubtleGetKeyAlpha1": _subtle(messages.SubtleGetKeyRequest),
    "SubtleEncryptAlpha1": _subtle(messages.SubtleEncryptRequest),
    "SubtleDecryptAlpha1": _subtle(messages.SubtleDecryptRequest),
    "SubtleWrapKeyAlpha1": _subtle(messages.SubtleWrapKeyRequest),
    "SubtleUnwrapKeyAlpha1": _subtle(messages.SubtleUnwrapKeyRequest),
    "SubtleSignAlpha1": _subtle(messages.SubtleSignRequest),
    "SubtleVerifyAlpha1": _subtle(messages.SubtleVerifyRequest),
}
