"""What the span of a call on the HTTP API says, in the real runtime's words."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from daprflow.sidecar.http_api.call import BadEscape, clean
from daprflow.sidecar.http_api.invoke import target_of
from daprflow.sidecar.telemetry.http_errors import error_of
from daprflow.sidecar.telemetry.tracer import Span

_VERSIONS: Final = frozenset({"v1.0", "v1.0-alpha1", "v1.0-alpha2", "v1.0-beta1"})
_NAMED, _KEYED, _ACTOR = 3, 5, 6


def path_of(scope: Mapping[str, Any]) -> str:
    """Return the path of a call, decoded."""
    raw = raw_path_of(scope)
    if b"%" in raw:
        return unquote_to_bytes(raw).decode("utf-8", "replace")
    return raw.decode("utf-8", "replace")


def raw_path_of(scope: Mapping[str, Any]) -> bytes:
    """Return the path of a call as it came, without the query."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    return raw.partition(b"?")[0]


def describe(span: Span, scope: Mapping[str, Any], status: int) -> None:
    """Give a span everything it says of its call.

    Args:
        span: of the call; it is recorded.
        scope: of the call, as it came.
        status: what was answered.
    """
    method, path = scope["method"], path_of(scope)
    headers: dict[bytes, bytes] = dict(reversed(scope["headers"]))
    query: bytes = scope["query_string"]
    uri = f"{path}?{query.decode('latin-1')}" if query else path
    client = scope.get("client")
    said = span.attributes
    for name, value in headers.items():
        if name.startswith(b"dapr-") and name not in _SECRET:
            said[name.decode("latin-1")] = value.decode("utf-8", "replace")
    _describe_route(span, f"{method} {path}", raw_path_of(scope), headers)
    said["dapr.protocol"] = "http"
    said["dapr.api"] = f"{method} {path}"
    said["dapr.status_code"] = str(status)
    said["http.request.method"] = method
    said["url.full"] = uri
    if client:
        said["server.address"], said["server.port"] = client[0], str(client[1])
    span.error = error_of(status)


_SECRET = frozenset({b"dapr-api-token"})


def _describe_route(
    span: Span, statement: str, raw_path: bytes, headers: Mapping[bytes, bytes]
) -> None:
    parts = statement.partition(" ")[2].split("/")[1:]
    if len(parts) >= _NAMED and parts[0] in _VERSIONS and b"dapr-app-id" not in headers:
        known = _ROUTES.get(parts[1])
        if known is not None:
            known(span, statement, parts)
            return
    try:
        target = target_of(clean(raw_path), raw_path, headers)
    except BadEscape:
        return
    if target is not None:
        name = unquote_to_bytes(target.path.removeprefix(b"/")).decode("utf-8", "replace")
        said = span.attributes
        said["rpc.service"] = "ServiceInvocation"
        said["net.peer.name"] = target.app_id
        span.name = f"CallLocal/{target.app_id}/{name}"


_Route = Callable[[Span, str, Sequence[str]], None]


def _database(system: str) -> _Route:
    def describe_it(span: Span, statement: str, parts: Sequence[str]) -> None:
        _add_database(span, system, statement, parts[2])

    return describe_it


def _add_database(span: Span, system: str, statement: str, name: str) -> None:
    said = span.attributes
    said["db.system"] = said["db.connection_string"] = system
    said["db.statement"] = statement
    if name:
        said["db.name"] = name


def _pubsub(span: Span, statement: str, parts: Sequence[str]) -> None:
    """Say that it is about events; of which topic the real runtime does not say here."""
    del statement, parts
    span.attributes["messaging.system"] = "pubsub"


def _actor(span: Span, statement: str, parts: Sequence[str]) -> None:
    if len(parts) < _KEYED:
        return
    kind, actor_id, what = parts[2:5]
    if what == "state":
        span.attributes["dapr.actor"] = f"{kind}.{actor_id}"
        _add_database(span, "state", statement, "actor")
    elif what == "method" and len(parts) >= _ACTOR:
        said = span.attributes
        said["dapr.actor"] = said["net.peer.name"] = f"{kind}.{actor_id}"
        said["rpc.service"] = "ServiceInvocation"
        span.name = f"CallActor/{kind}/{parts[5]}"


_ROUTES: Mapping[str, _Route] = {
    "state": _database("state"),
    "secrets": _database("secrets"),
    "bindings": _database("bindings"),
    "publish": _pubsub,
    "actors": _actor,
}
