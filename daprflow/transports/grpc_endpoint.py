"""Where a sidecar's gRPC API is, in all the forms that Dapr's SDKs take."""

from dataclasses import dataclass

from daprflow.protocol.hosts import is_loopback

DEFAULT_PORT = 443
DEFAULT_HOST = "localhost"
FORMS = "'host:port', 'host:port?tls=true', 'https://host:port', 'dns:host:port' or 'unix:path'"

_FILES = frozenset({"unix", "unix-abstract"})
_SCHEMES = frozenset({"dns", "vsock", "http", "https"}) | _FILES


class EndpointError(ValueError):
    """An address cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class GrpcEndpoint:
    """An address as gRPC resolves it.

    Attributes:
        target: such as ``dns:127.0.0.1:50001``.
        tls: whether the connection is encrypted.
        loopback: whether it is on this machine, where no proxy may come between.
    """

    target: str
    tls: bool = False
    loopback: bool = False


def parse(text: str) -> GrpcEndpoint:
    """Read an address; the port is 443 where none is given.

    ``http`` and ``https`` stand for a host without and with TLS, as they do in Dapr's own SDKs.

    Raises:
        EndpointError: it is none.
    """
    address, _, query = text.partition("?")
    scheme, rest, slashes = _split(address)
    if query and scheme in {"http", "https"}:
        raise EndpointError("a URL takes no query; its scheme says whether TLS is used")
    tls = scheme == "https" or _asks_for_tls(query)
    if scheme in _FILES:
        return _file(scheme, rest, slashes=slashes, tls=tls)
    authority = ""
    if scheme == "dns" and slashes:
        server, slash, rest = rest.partition("/")
        if not slash or not server:
            raise EndpointError("'dns://' needs the name of a server: 'dns://server/host:port'")
        authority = f"//{server}/"
    if "/" in rest:
        raise EndpointError("it has a path")
    host, port = _host_and_port(rest)
    if scheme == "vsock":
        return GrpcEndpoint(f"vsock:{host}:{port}", tls, loopback=True)
    return GrpcEndpoint(f"dns:{authority}{host}:{port}", tls, loopback=is_loopback(host))


def _split(address: str) -> tuple[str, str, bool]:
    """Return scheme, what follows it, and whether ``//`` stood between."""
    scheme, colon, rest = address.partition(":")
    slashes = rest.startswith("//")
    if colon and (slashes or scheme in _SCHEMES):
        if scheme not in _SCHEMES:
            raise EndpointError(f"there is no scheme '{scheme}'")
        return scheme, rest.removeprefix("//"), slashes
    return "", address, False


def _file(scheme: str, rest: str, *, slashes: bool, tls: bool) -> GrpcEndpoint:
    if not rest:
        raise EndpointError("it names no socket")
    if scheme == "unix" and slashes and not rest.startswith("/"):
        raise EndpointError("'unix://' needs an absolute path: 'unix:///path', or 'unix:path'")
    return GrpcEndpoint(f"{scheme}:{rest}", tls, loopback=True)


def _host_and_port(text: str) -> tuple[str, int]:
    """Split host and port; an IPv6 address comes back in brackets."""
    if text.startswith("["):
        host, _, after = text.partition("]")
        host, colon, port = host + "]", after[:1], after[1:]
        if after and colon != ":":
            raise EndpointError("after the brackets comes ':' and a port")
    elif text.count(":") > 1:
        host, colon, port = f"[{text}]", "", ""
    else:
        host, colon, port = text.partition(":")
    if not colon:
        return host or DEFAULT_HOST, DEFAULT_PORT
    number = int(port) if port.isascii() and port.isdigit() else 0
    if not 0 < number < 65536:  # noqa: PLR2004 - the number of TCP ports
        raise EndpointError(f"'{port}' is no port")
    return host or DEFAULT_HOST, number


def _asks_for_tls(query: str) -> bool:
    if not query:
        return False
    name, _, value = query.partition("=")
    if name != "tls" or value.lower() not in {"true", "false"}:
        raise EndpointError("the only query there is is '?tls=true' or '?tls=false'")
    return value.lower() == "true"
