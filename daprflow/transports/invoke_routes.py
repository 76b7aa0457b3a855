"""The paths of invoke handlers, as a tree of their parts."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

from starlette.types import Message, Receive, Scope, Send

from daprflow.handlers.templates import is_parameter

Endpoint = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(slots=True)
class _Node:
    """What may follow after some parts of a path, and what answers there."""

    texts: "dict[str, _Node]" = field(default_factory=dict)
    parameter: "_Node | None" = None
    endpoints: dict[str, tuple[Endpoint, tuple[str, ...]]] = field(default_factory=dict)


class InvokeRoutes:
    """Finds the endpoint of a path; a text goes before a parameter, part by part."""

    def __init__(self) -> None:
        self._root = _Node()

    def add(
        self, method: str, parts: Sequence[str], endpoint: Endpoint
    ) -> list[tuple[str, Endpoint]]:
        """Add an endpoint and return the verbs it is added for, with what answers each."""
        node, names = self._root, []
        for part in parts:
            if is_parameter(part):
                names.append(part[1:-1])
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.texts.setdefault(part, _Node())
        added = {method: endpoint}
        if method == "GET" and "HEAD" not in node.endpoints:
            added["HEAD"] = _bodiless(endpoint)
        node.endpoints.update({verb: (each, tuple(names)) for verb, each in added.items()})
        return list(added.items())

    @staticmethod
    def has_parameters(parts: Sequence[str]) -> bool:
        """Whether a path has parameters, so that it is no plain text."""
        return any(is_parameter(part) for part in parts)

    def find(self, scope: Scope) -> Endpoint | None:
        """Return the endpoint for a request and put its parameters into the scope."""
        method = scope["method"]
        for node, values in _nodes(self._root, _parts(scope), ()):
            found = node.endpoints.get(method)
            if found is not None:
                endpoint, names = found
                scope["path_params"] = dict(zip(names, values, strict=True))
                return endpoint
        return None

    def allowed(self, scope: Scope) -> tuple[str, ...]:
        """Return the verbs that a request's path takes."""
        found = [
            verb for node, _ in _nodes(self._root, _parts(scope), ()) for verb in node.endpoints
        ]
        return tuple(sorted(set(found)))


def _nodes(
    node: _Node, parts: Sequence[str], values: tuple[str, ...]
) -> Iterator[tuple[_Node, tuple[str, ...]]]:
    """Yield where a path may end, the narrowest first, with the values of its parameters."""
    if not parts:
        yield node, values
        return
    part, rest = parts[0], parts[1:]
    following = node.texts.get(part)
    if following is not None:
        yield from _nodes(following, rest, values)
    if node.parameter is not None and part:
        yield from _nodes(node.parameter, rest, (*values, part))


def _parts(scope: Scope) -> list[str]:
    """Split a path as it came, then decode its parts, so that ``%2F`` stays inside a value.

    Bytes that are no UTF-8 stay visible as surrogates, for whoever reads the value to refuse.
    """
    raw: bytes = scope.get("raw_path") or b""
    root: str = scope.get("root_path", "")
    if not raw or root:
        return str(scope["path"]).removeprefix(root).removeprefix("/").split("/")
    path = raw.partition(b"?")[0].decode("latin-1").removeprefix("/")
    return [unquote(part, errors="surrogateescape") for part in path.split("/")]


def _bodiless(endpoint: Endpoint) -> Endpoint:
    """Return an endpoint that answers HEAD as ``endpoint`` answers GET."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await endpoint(scope, receive, send_head)

    return answer
