"""Output bindings over gRPC: data as bytes, metadata both ways."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from daprflow.protocol import messages as m
from daprflow.sidecar.app.postman import NO_TRACE
from daprflow.sidecar.components.base import BindingAnswer
from tests.helpers.grpc_calls import refusal
from tests.helpers.grpc_sidecar import GrpcSidecar, grpc_sidecar

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@dataclass(slots=True)
class Mirror:
    """Answers what it is told to, and keeps what it was asked."""

    answer: BindingAnswer = field(default_factory=BindingAnswer)
    metadata: dict[str, str] = field(default_factory=dict)
    capabilities: tuple[str, ...] = ("OUTPUT_BINDING",)
    operations: tuple[str, ...] = ("send",)

    async def open(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""

    async def invoke(
        self, _operation: str, _data: bytes, metadata: Mapping[str, str], /
    ) -> BindingAnswer:
        """Answer."""
        self.metadata = dict(metadata)
        return self.answer


@pytest.fixture
async def sidecar(tmp_path: Path) -> AsyncIterator[GrpcSidecar]:
    """A sidecar with a binding to files."""
    components = {"files": ("bindings.localstorage", {"rootPath": str(tmp_path / "files")})}
    async with grpc_sidecar(tmp_path, components) as running:
        yield running


@pytest.fixture
def mirror(sidecar: GrpcSidecar) -> Mirror:
    """A binding of the test in the place of the one to files."""
    runtime = sidecar.inner.runtime
    mirror = Mirror()
    runtime.bindings._outputs["files"] = mirror
    return mirror


def asked(operation: str = "send", **metadata: str) -> m.InvokeBindingRequest:
    """Return a request."""
    return m.InvokeBindingRequest(name="files", operation=operation, data=b"", metadata=metadata)


async def test_bytes_go_through(sidecar: GrpcSidecar) -> None:
    """Data is neither JSON nor text on this way."""
    create = asked("create", fileName="a")
    create.data = b"\x00\xff"
    answer = await sidecar.stub.InvokeBinding(create)
    assert answer.data == b'{"fileName":"a"}'
    assert (await sidecar.stub.InvokeBinding(asked("get", fileName="a"))).data == b"\x00\xff"


async def test_metadata_come_back_twice(sidecar: GrpcSidecar, mirror: Mirror) -> None:
    """What a binding answers beside its data is in the answer and in metadata before it."""
    mirror.answer = BindingAnswer(b"x", {"StatusCode": "200", "bad name": "1", "umlaut": "ü"})
    call = sidecar.stub.InvokeBinding(asked())
    answer = await call
    assert dict(answer.metadata) == {"StatusCode": "200", "bad name": "1", "umlaut": "ü"}
    assert dict(await call.initial_metadata()) == {"metadata.statuscode": "200"}


async def test_metadata_come_with_a_failure(sidecar: GrpcSidecar, mirror: Mirror) -> None:
    """A failure that has metadata sends them, too."""
    mirror.answer = BindingAnswer(b"x", {"statusCode": "500"}, error="status 500")
    call = sidecar.stub.InvokeBinding(asked())
    found = await refusal(call)
    assert found.code == "INTERNAL"
    assert found.text == "error invoking output binding files: status 500"
    assert found.info == m.ErrorInfo(reason="ERR_INVOKE_OUTPUT_BINDING", domain="dapr.io")
    assert dict(await call.initial_metadata()) == {"metadata.statuscode": "500"}


async def test_a_call_s_metadata_reach_the_binding(sidecar: GrpcSidecar, mirror: Mirror) -> None:
    """The request's metadata win over the call's but for the trace; the API token stays here."""
    sent = [
        ("x-own", "1"),
        ("x-own", "2"),
        ("kept", "call"),
        ("traceparent", PARENT),
        ("dapr-api-token", "secret"),
        ("baggage", "a=1"),
        ("baggage", "b=2"),
    ]
    request = asked(kept="request", traceparent="other")
    await sidecar.stub.InvokeBinding(request, metadata=sent)
    found = {name: value for name, value in mirror.metadata.items() if name != "user-agent"}
    assert found == {"x-own": "1", "kept": "request", "traceparent": PARENT, "baggage": "a=1,b=2"}


async def test_a_call_without_a_trace(sidecar: GrpcSidecar, mirror: Mirror) -> None:
    """Where a call is part of no trace, the binding is told that with an empty one."""
    await sidecar.stub.InvokeBinding(asked())
    assert mirror.metadata["traceparent"] == NO_TRACE


async def test_an_unknown_binding(sidecar: GrpcSidecar) -> None:
    """Every failure of bindings is internal, and has its reason."""
    request = m.InvokeBindingRequest(name="zzz", operation="get")
    found = await refusal(sidecar.stub.InvokeBinding(request))
    text = "error invoking output binding zzz: couldn't find output binding zzz"
    assert (found.code, found.text) == ("INTERNAL", text)
    assert found.info == m.ErrorInfo(reason="ERR_INVOKE_OUTPUT_BINDING", domain="dapr.io")
