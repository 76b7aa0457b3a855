"""How an app is spoken to, by the options of its sidecar."""

import pytest

from daprflow.sidecar.app.connect import make_app
from daprflow.sidecar.app.grpc import GrpcApp
from daprflow.sidecar.app.http import HttpApp
from daprflow.sidecar.channel.connect import ProtocolNotOffered
from daprflow.sidecar.options import RuntimeOptions


@pytest.mark.parametrize(
    ("protocol", "kind"),
    [("http", HttpApp), ("https", HttpApp), ("grpc", GrpcApp), ("grpcs", GrpcApp)],
)
def test_the_app_protocol_chooses_the_kind(
    protocol: str, kind: type[HttpApp] | type[GrpcApp]
) -> None:
    """An app is spoken to in the protocol that it is said to speak."""
    app = make_app(RuntimeOptions("a", 1, app_protocol=protocol))
    assert isinstance(app, kind)
    assert (app.http is None) == (app.grpc is not None)


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_no_port_means_no_app(protocol: str) -> None:
    """Without a port there is nothing to call, whatever it would speak."""
    assert make_app(RuntimeOptions("a", app_protocol=protocol)) is None


@pytest.mark.parametrize("protocol", ["h2c", "HTTP", ""])
def test_other_protocols_are_refused(protocol: str) -> None:
    """What is not offered is named, with what is."""
    with pytest.raises(ProtocolNotOffered, match=f"'{protocol}'.*'http', 'https', 'grpc' or"):
        make_app(RuntimeOptions("a", 1, app_protocol=protocol))
