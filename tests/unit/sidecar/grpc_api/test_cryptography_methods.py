"""Cryptography over gRPC: documents in pieces, and the order in which those have to come."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest

from daprflow.protocol import messages as m
from daprflow.sidecar.grpc_api.cryptography import FIRST
from tests.helpers.grpc_calls import nothing_left, refusal
from tests.helpers.grpc_sidecar import GrpcSidecar, grpc_sidecar
from tests.helpers.keys import write_keys
from tests.helpers.topic_streams import within

SEGMENT = 64 * 1024
OPTIONS = m.EncryptRequestOptions(
    component_name="crypto", key_name="rsa.pem", key_wrap_algorithm="RSA"
)


@pytest.fixture
async def sidecar(tmp_path: Path) -> AsyncIterator[GrpcSidecar]:
    """A sidecar with keys."""
    write_keys(tmp_path / "keys")
    components = {"crypto": ("crypto.dapr.localstorage", {"path": str(tmp_path / "keys")})}
    async with grpc_sidecar(tmp_path, components) as running:
        yield running


def piece(data: bytes, number: int) -> m.StreamPayload:
    """Return a piece."""
    return m.StreamPayload(data=data, seq=number)


async def sealed(sidecar: GrpcSidecar, pieces: Sequence[bytes]) -> list[m.StreamPayload]:
    """Return what comes of encrypting."""
    requests = [
        m.EncryptRequest(options=OPTIONS),
        *(m.EncryptRequest(payload=piece(each, number)) for number, each in enumerate(pieces)),
    ]
    return [answer.payload async for answer in sidecar.stub.EncryptAlpha1(iter(requests))]


async def opened(sidecar: GrpcSidecar, pieces: Sequence[bytes]) -> bytes:
    """Return what comes of decrypting."""
    options = m.DecryptRequestOptions(component_name="crypto")
    requests = [
        m.DecryptRequest(options=options),
        *(m.DecryptRequest(payload=piece(each, number)) for number, each in enumerate(pieces)),
    ]
    answers = [answer.payload async for answer in sidecar.stub.DecryptAlpha1(iter(requests))]
    assert [answer.seq for answer in answers] == list(range(len(answers)))
    return b"".join(answer.data for answer in answers)


@pytest.mark.parametrize(
    ("size", "sizes"),
    [
        (0, []),
        (1, [17]),
        (SEGMENT, [SEGMENT + 16]),
        (SEGMENT + 1, [SEGMENT + 16, 17]),
        (200_000, [SEGMENT + 16] * 3 + [200_000 - 3 * SEGMENT + 16]),
    ],
)
async def test_there_and_back(sidecar: GrpcSidecar, size: int, sizes: list[int]) -> None:
    """The head comes first, then a piece for each segment, however the data came."""
    data = bytes(range(256)) * (size // 256 + 1)
    data = data[:size]
    answers = await sealed(sidecar, [data[at : at + 1000] for at in range(0, size, 1000)])
    assert [answer.seq for answer in answers] == list(range(len(answers)))
    assert [len(answer.data) for answer in answers[1:]] == sizes
    document = b"".join(answer.data for answer in answers)
    assert await opened(sidecar, [document[:100], document[100:]]) == data


async def test_what_is_sealed_comes_before_all_has_been_sent(sidecar: GrpcSidecar) -> None:
    """A stream is not held back until its end: it may be longer than memory."""
    call = sidecar.stub.EncryptAlpha1()
    await call.write(m.EncryptRequest(options=OPTIONS))
    assert (await call.read()).payload.data.startswith(b"dapr.io/enc/v1\n")
    await call.write(m.EncryptRequest(payload=piece(b"x" * (SEGMENT + 1), 0)))
    assert len((await call.read()).payload.data) == SEGMENT + 16
    call.cancel()


def with_options(**changed: Any) -> m.EncryptRequest:
    """Return a first message."""
    request = m.EncryptRequest(options=OPTIONS)
    for name, value in changed.items():
        setattr(request.options, name, value)
    return request


@pytest.mark.parametrize(
    ("requests", "code", "text"),
    [
        ([], "INTERNAL", "failed to perform operation: error receiving the first message: EOF"),
        (
            [m.EncryptRequest(payload=piece(b"x", 0))],
            "INVALID_ARGUMENT",
            "invalid request: first message does not contain the required options",
        ),
        (
            [with_options(key_name="")],
            "INVALID_ARGUMENT",
            "invalid request: missing property 'keyName' in the options message",
        ),
        (
            [with_options(key_wrap_algorithm="")],
            "INVALID_ARGUMENT",
            "invalid request: missing property 'keyWrapAlgorithm' in the options message",
        ),
        (
            [with_options(component_name="")],
            "INVALID_ARGUMENT",
            "invalid request: missing component name",
        ),
        (
            [with_options(key_wrap_algorithm="x")],
            "INTERNAL",
            (
                "failed to perform operation: option Algorithm is not valid: "
                "algorithm X is not supported"
            ),
        ),
        (
            [with_options(), m.EncryptRequest(payload=piece(b"x", 1))],
            "INTERNAL",
            "failed to perform operation: invalid sequence number received: 1 (expected: 0)",
        ),
        (
            [with_options(), with_options()],
            "INTERNAL",
            "failed to perform operation: options found in non-leading message",
        ),
    ],
)
async def test_wrong_streams(
    sidecar: GrpcSidecar, requests: list[m.EncryptRequest], code: str, text: str
) -> None:
    """A stream that does not keep to the order is broken off, in the real runtime's words."""

    async def play() -> None:
        async for _ in sidecar.stub.EncryptAlpha1(iter(requests)):
            pass

    found = await refusal(play())
    assert (found.code, found.text, found.info) == (code, text, None)


async def test_a_changed_document_breaks_off(sidecar: GrpcSidecar) -> None:
    """What is sound before the change has come; then the stream fails."""
    parts = [answer.data for answer in await sealed(sidecar, [b"x" * (SEGMENT + 1)])]
    parts[-1] = bytes(len(parts[-1]))
    found = await refusal(opened(sidecar, parts))
    text = "failed to perform operation: error processing segment 1: failed to decrypt segment"
    assert (found.code, found.text) == ("INTERNAL", text)


async def test_the_first_message_has_to_come_soon(sidecar: GrpcSidecar) -> None:
    """Who opens a stream and says nothing is told so after a while."""
    call = sidecar.stub.EncryptAlpha1()
    started = sidecar.inner.clock.now()
    found = await refusal(within(sidecar, call.read()))
    text = "invalid request: error waiting for first message: context deadline exceeded"
    assert (found.code, found.text) == ("INVALID_ARGUMENT", text)
    assert sidecar.inner.clock.now() == started + FIRST


async def test_a_client_that_leaves_in_the_middle(sidecar: GrpcSidecar) -> None:
    """Nothing goes on for a client that is gone."""
    async with nothing_left():
        calls = [sidecar.stub.EncryptAlpha1() for _ in range(20)]
        for call in calls:
            await call.write(m.EncryptRequest(options=OPTIONS))
            assert await call.read()
            call.cancel()
        await asyncio.gather(*(call.code() for call in calls))


@pytest.mark.parametrize(
    "name", ["GetKey", "Encrypt", "Decrypt", "WrapKey", "UnwrapKey", "Sign", "Verify"]
)
async def test_low_level_calls_are_not_built_in(sidecar: GrpcSidecar, name: str) -> None:
    """Official builds of the runtime leave these methods out."""
    request = getattr(m, f"Subtle{name}Request")()
    found = await refusal(getattr(sidecar.stub, f"Subtle{name}Alpha1")(request))
    assert found.code == grpc.StatusCode.UNIMPLEMENTED.name
    assert found.text == "this API is currently not implemented"


async def test_without_any_provider(tmp_path: Path) -> None:
    """Where no component is loaded that is an internal error, as in the real runtime."""
    async with grpc_sidecar(tmp_path, {}) as sidecar:
        call = sidecar.stub.EncryptAlpha1(iter([m.EncryptRequest(options=OPTIONS)]))
        found = await refusal(call.read())
    assert (found.code, found.text) == ("INTERNAL", "crypto providers not configured")
