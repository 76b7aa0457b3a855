"""Addresses of a sidecar's gRPC API."""

import pytest

from daprflow.transports.grpc_endpoint import EndpointError, GrpcEndpoint, parse


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("127.0.0.1:50001", "dns:127.0.0.1:50001"),
        ("localhost", "dns:localhost:443"),
        (":50001", "dns:localhost:50001"),
        ("[::1]:50001", "dns:[::1]:50001"),
        ("::1", "dns:[::1]:443"),
        ("http://localhost:50001", "dns:localhost:50001"),
        ("unix:/tmp/dapr.sock", "unix:/tmp/dapr.sock"),
        ("unix:///tmp/dapr.sock", "unix:/tmp/dapr.sock"),
        ("unix-abstract:dapr", "unix-abstract:dapr"),
        ("vsock:3:50001", "vsock:3:50001"),
    ],
)
def test_addresses_on_this_machine(text: str, target: str) -> None:
    """Each form becomes what gRPC resolves; no proxy comes between on this machine."""
    assert parse(text) == GrpcEndpoint(target, tls=False, loopback=True)


@pytest.mark.parametrize(
    ("text", "target", "tls"),
    [
        ("dapr.example", "dns:dapr.example:443", False),
        ("dapr.example:50001?tls=true", "dns:dapr.example:50001", True),
        ("dapr.example:50001?tls=false", "dns:dapr.example:50001", False),
        ("https://dapr.example", "dns:dapr.example:443", True),
        ("https://dapr.example:8443", "dns:dapr.example:8443", True),
        ("dns:dapr.example:50001", "dns:dapr.example:50001", False),
        ("dns://8.8.8.8/dapr.example:50001?tls=true", "dns://8.8.8.8/dapr.example:50001", True),
        ("[2001:db8::1]:50001?tls=TRUE", "dns:[2001:db8::1]:50001", True),
    ],
)
def test_addresses_elsewhere(text: str, target: str, *, tls: bool) -> None:
    """A scheme or a query asks for TLS, as in Dapr's own SDKs."""
    assert parse(text) == GrpcEndpoint(target, tls=tls, loopback=False)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("ftp://dapr.example", "there is no scheme 'ftp'"),
        ("dapr.example:0", "'0' is no port"),
        ("dapr.example:65536", "'65536' is no port"),
        ("dapr.example:http", "'http' is no port"),
        ("dapr.example/api", "it has a path"),
        ("https://dapr.example/", "it has a path"),
        ("https://dapr.example?tls=true", "a URL takes no query"),
        ("dapr.example?tls=yes", "the only query"),
        ("dapr.example?a=b", "the only query"),
        ("dns://dapr.example", "needs the name of a server"),
        ("unix://dapr.sock", "needs an absolute path"),
        ("unix:", "names no socket"),
        ("[::1]50001", "after the brackets"),
    ],
)
def test_what_is_no_address_is_refused(text: str, reason: str) -> None:
    """An address that gRPC would puzzle over is refused with the reason."""
    with pytest.raises(EndpointError, match=reason.replace("?", r"\?")):
        parse(text)
