"""Baggage over gRPC: what is sound comes back, what is not is refused."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daprflow.protocol import messages as m
from daprflow.sidecar.grpc_api.baggage import echoed, problem_of
from tests.helpers.grpc_calls import refusal
from tests.helpers.grpc_sidecar import GrpcSidecar, grpc_sidecar

ASKED = m.GetStateRequest(store_name="store", key="a")


@pytest.fixture
async def sidecar(tmp_path: Path) -> AsyncIterator[GrpcSidecar]:
    """A sidecar with a store."""
    async with grpc_sidecar(tmp_path, {"store": ("state.in-memory", {})}) as running:
        yield running


@pytest.mark.parametrize(
    ("text", "back"),
    [
        ("a=b", "a=b"),
        ("a = b ;p=q", "a=b;p=q"),
        ("a=1,a=2", "a=2"),
        ("k=v;", "k=v;"),
        ("a=b;x=y;z", "a=b;x=y;z"),
        ("a=%20%2f", "a=%20/"),
        ("a=", "a="),
    ],
)
def test_what_comes_back(text: str, back: str) -> None:
    """Sound baggage comes back with each member once, escaped where that is needed."""
    assert echoed(text) == back


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a", 'invalid baggage list-member: "a"'),
        ("=", 'invalid key: ""'),
        ("a b=c", 'invalid key: "a b"'),
        ("a=b c", 'invalid value: "b c"'),
        ("a=%zz", 'invalid value: invalid URL escape "%zz"'),
        ('a="q"', 'invalid value: "\\"q\\""'),
        (";", 'invalid baggage list-member: ";"'),
        ("a=b;p q", 'invalid baggage list-member property: "p q"'),
        (",", 'invalid baggage list-member: ""\ninvalid baggage list-member: ""'),
    ],
)
def test_what_is_wrong(text: str, problem: str) -> None:
    """Broken baggage is described in the real runtime's words, all of it."""
    assert problem_of(text) == problem


async def test_baggage_comes_back(sidecar: GrpcSidecar) -> None:
    """Every method sends a caller's baggage back before its answer."""
    call = sidecar.stub.GetState(ASKED, metadata=[("baggage", "a=1")])
    await call
    assert dict(await call.initial_metadata()) == {"baggage": "a=1"}


async def test_baggage_comes_back_with_a_failure(sidecar: GrpcSidecar) -> None:
    """A failure has it, too."""
    request = m.GetStateRequest(store_name="none", key="a")
    call = sidecar.stub.GetState(request, metadata=[("baggage", "a=1")])
    assert (await refusal(call)).text == "state store none is not found"
    assert dict(await call.initial_metadata()) == {"baggage": "a=1"}


async def test_broken_baggage_is_refused(sidecar: GrpcSidecar) -> None:
    """A call with broken baggage does not get in."""
    found = await refusal(sidecar.stub.GetState(ASKED, metadata=[("baggage", "a")]))
    text = 'invalid baggage header: invalid baggage list-member: "a"'
    assert (found.code, found.text) == ("INVALID_ARGUMENT", text)
