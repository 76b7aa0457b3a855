"""``PUT /v1.0-alpha1/crypto/{name}/…``: encrypts and decrypts bodies."""

from daprflow.protocol import faults
from daprflow.sidecar.blocks.encrypted_document import Sealing
from daprflow.sidecar.http_api.call import Answer, Call, fault_answer

_LENGTH = 4
_SUBTLE = frozenset(
    {b"getkey", b"encrypt", b"decrypt", b"wrapkey", b"unwrapkey", b"sign", b"verify"}
)
_BYTES = (b"content-type", b"application/octet-stream")
_TRUE = frozenset({"1", "true", "t", "yes", "y", "on"})


async def handle(call: Call) -> Answer | None:
    """Serve one call, None where no route fits."""
    if call.method != "PUT" or call.segments[0] != b"v1.0-alpha1" or len(call.segments) != _LENGTH:
        return None
    block = call.runtime.cryptography
    match call.segments[3]:
        case b"encrypt":
            provider = block.provider(call.segment(2))
            sealing = _sealing(call)
            return Answer(200, await block.encrypt(provider, await call.body(), sealing), (_BYTES,))
        case b"decrypt":
            provider = block.provider(call.segment(2))
            key_name = call.header(b"dapr-key-name")
            found = await block.decrypt(provider, await call.body(), key_name)
            return Answer(200, found, (_BYTES,))
    return None


async def handle_subtle(call: Call) -> Answer | None:
    """Answer the low-level calls as official builds of the runtime do, which leave them out."""
    if call.method != "POST" or len(call.segments) != _LENGTH or call.segments[3] not in _SUBTLE:
        return None
    return fault_answer(faults.unimplemented())


def _sealing(call: Call) -> Sealing:
    return Sealing(
        _required(call, "dapr-key-name"),
        _required(call, "dapr-key-wrap-algorithm").upper(),
        call.header(b"dapr-data-encryption-cipher").upper(),
        call.header(b"dapr-decryption-key-name"),
        call.header(b"dapr-omit-decryption-key-name").strip().lower() in _TRUE,
    )


def _required(call: Call, name: str) -> str:
    value = call.header(name.encode())
    if not value:
        raise faults.missing_header(name)
    return value
