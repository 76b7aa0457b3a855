"""The client's way to a sidecar in its own process."""

import pytest

from daprflow.protocol.http import HttpRequest
from daprflow.testing.transport import InProcessTransport
from daprflow.transports.base import ConnectionLost
from tests.helpers.small_sidecar import SmallSidecar


async def test_a_request_arrives_as_it_was_written() -> None:
    """Method, escaped path, query, headers and body are those of a socket."""
    sidecar = SmallSidecar()
    transport = InProcessTransport(sidecar, token="t0")

    response = await transport.send(
        HttpRequest("POST", "/v1.0/publish/p/a%2Fb?metadata.x=1", (("content-type", "x/y"),), b"z")
    )
    await transport.close()

    assert response.status == 204
    assert sidecar.requests == [("POST", "/v1.0/publish/p/a%2Fb?metadata.x=1", b"z")]
    assert sidecar.headers[0]["content-type"] == "x/y"
    assert sidecar.headers[0]["dapr-api-token"] == "t0"
    assert sidecar.headers[0]["host"] == "127.0.0.1"


async def test_a_sidecar_that_breaks_is_a_lost_connection() -> None:
    """Its exception does not reach the app as such."""

    async def broken(scope: object, receive: object, send: object) -> None:
        raise ValueError("broken")

    with pytest.raises(ConnectionLost, match="broken"):
        await InProcessTransport(broken).send(HttpRequest("GET", "/"))
