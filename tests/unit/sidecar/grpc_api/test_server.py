"""The gRPC server: tokens, methods it does not have, mistakes of ours."""

from pathlib import Path

import grpc
import pytest

from daprflow.protocol import messages as m
from daprflow.sidecar.options import RuntimeOptions
from tests.helpers.grpc_sidecar import grpc_sidecar
from tests.helpers.sidecar import Components

STORE: Components = {"store": ("state.in-memory", {})}
ASKED = m.GetStateRequest(store_name="store", key="a")


@pytest.mark.row("S-02")
@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ((), "missing api token in request metadata"),
        ((("dapr-api-token", "wrong"),), "authentication error: api token mismatch"),
        (
            (("dapr-api-token", "wrong"), ("dapr-api-token", "secret")),
            "authentication error: api token mismatch",
        ),
        (
            (("dapr-api-token", "secret"), ("dapr-api-token", "wrong")),
            "authentication error: api token mismatch",
        ),
    ],
)
async def test_calls_without_the_token_are_refused(
    tmp_path: Path, metadata: tuple[tuple[str, str], ...], reason: str
) -> None:
    """Whoever does not send the right API token is told so in the real runtime's words."""
    options = RuntimeOptions("app1", api_token="secret")
    async with grpc_sidecar(tmp_path, STORE, options=options) as sidecar:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await sidecar.stub.GetState(ASKED, metadata=metadata)
    error = raised.value
    assert (error.code(), error.details()) == (grpc.StatusCode.UNAUTHENTICATED, "Unauthorized")
    status = m.RpcStatus.FromString(
        dict(error.trailing_metadata() or ())["grpc-status-details-bin"]
    )
    info = m.ErrorInfo()
    status.details[0].Unpack(info)
    assert dict(info.metadata) == {"http.code": "401", "http.error_message": reason}


async def test_the_right_token_lets_in(tmp_path: Path) -> None:
    """The token of the sidecar opens it."""
    options = RuntimeOptions("app1", api_token="secret")
    async with grpc_sidecar(tmp_path, STORE, options=options) as sidecar:
        answer = await sidecar.stub.GetState(ASKED, metadata=[("dapr-api-token", "secret")])
    assert answer == m.GetStateResponse()
