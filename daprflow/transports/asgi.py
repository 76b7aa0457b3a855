"""Dapr's endpoints over ASGI: one dict, whatever the number of handlers."""

import logging
from asyncio import CancelledError
from collections.abc import Awaitable, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote, unquote

import msgspec
from starlette.types import Receive, Scope, Send

from daprflow.handlers.handler import Delivery, Next, Outcome
from daprflow.handlers.tokens import Tokens
from daprflow.handlers.trace import DELIVERED
from daprflow.handlers.verdicts import SUCCESS, ErrorBody, put_off
from daprflow.protocol.http import JSON
from daprflow.transports.invoke_routes import Endpoint, InvokeRoutes

if TYPE_CHECKING:
    from starlette.middleware import Middleware

logger = logging.getLogger(__name__)

PREFIXES = ("/dapr/", "/job/", "/configuration/")
"""Below these every path is ours, whoever hosts the app."""
_ACTORS = "/actors/"
_ACTOR_METHODS = frozenset({"PUT", "DELETE"})
"""What a sidecar uses below `_ACTORS`; the rest there may be anybody's."""
_ADVICE = {
    "/dapr/": "known topics: %s; restart the sidecar if routes changed",
    "/job/": "known jobs: %s; 'client.delete_job' ends one that is wanted no more",
    "/configuration/": "a sidecar posts changes there; routes of this app's own: %s",
    "/actors/": "a sidecar calls the methods of actors there; types of this app: %s",
}
_LISTED = 10
_PATH_SHOWN = 200  # strangers choose it
_TOKEN = b"dapr-api-token"
_CALLERS = frozenset({b"dapr-caller-app-id", b"dapr-callee-app-id"})
_JSON_HEADER = (b"content-type", b"application/json")
_SUCCESS_HEADERS = (_JSON_HEADER, (b"content-length", b"%d" % len(SUCCESS.body)))


class TooLarge(Exception):  # noqa: N818 - named for the body
    """A body is longer than the app takes."""


class Disconnected(Exception):  # noqa: N818 - named for the peer
    """The peer went away before its body was complete."""


REACHED = "daprflow-endpoint"
NOT_STARTED = "the app has not started: run it with its lifespan"
STOPPING = "the app is stopping"
CUT_OFF = "the app stopped before this was done"
_GRACE_OVER = "graceful shutdown exceeded"
"""What uvicorn cancels requests with, whoever runs it."""


@dataclass(slots=True)
class Gate:
    """What a request must satisfy before its body is read; set when the app opens.

    Attributes:
        tokens: what ``dapr-api-token`` may be; none lets everything pass.
        is_open: whether the app's lifespan has been entered.
        stopping: whether it is closed because the app stops; deliveries are to be made again.
        told: the statuses of refusals that the log has a line about.
    """

    max_body: int
    tokens: Tokens = field(default_factory=Tokens)
    is_open: bool = False
    stopping: bool = False
    told: set[int] = field(default_factory=set)

    def refusal(
        self, scope: Scope, *, from_sidecar: bool, relays: AbstractSet[bytes] = _CALLERS
    ) -> tuple[int, str] | None:
        """Return status and reason to refuse a request; None lets it pass.

        ``from_sidecar`` marks a path that only the sidecar itself calls: a request relayed for
        another app, which carries that app's id in one of the headers ``relays``, could forge an
        event there.
        """
        given = b""
        relayed = False
        length = b""
        for name, value in scope["headers"]:
            if name == _TOKEN:
                given = given + b"," + value if given else value  # two are none
            elif name in relays:
                relayed = True
            elif name == b"content-length":
                length = value
        if self.tokens and not self.tokens.hold(given):
            return 401, "the 'dapr-api-token' header does not hold this app's token"
        if relayed and from_sidecar:
            return 403, "this path is for the sidecar alone; it cannot be invoked by an app"
        if not self.is_open:
            return (503, STOPPING) if self.stopping else (500, NOT_STARTED)
        if length.isdigit() and int(length) > self.max_body:
            return self.too_large
        return None

    def open(self) -> None:
        """Let requests pass from now on."""
        self.is_open, self.stopping = True, False

    def stop(self) -> None:
        """Let nothing pass any more, and say why."""
        self.is_open, self.stopping = False, True

    def close(self) -> None:
        """Let nothing pass until it is opened again."""
        self.is_open = self.stopping = False

    def ends(self, error: CancelledError) -> bool:
        """Tell whether a request was cancelled because the server's time to stop is over."""
        return self.stopping or _GRACE_OVER in str(error)

    @property
    def too_large(self) -> tuple[int, str]:
        """Status and reason for a body that is too long."""
        return 413, f"the body is longer than {self.max_body} bytes; 'max_body_size' allows more"


class Found(Protocol):
    """Something that can name the endpoint for a request."""

    def find(self, scope: Scope) -> Endpoint | None:
        """Return the endpoint that answers, None where the request is not ours."""
        ...


class Table:
    """Every endpoint of an app by method and decoded path."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._endpoints: dict[tuple[str, str], Endpoint] = {}
        self._by_segments: dict[tuple[str, ...], Endpoint] = {}
        self._paths: tuple[str, ...] = ()
        self._prefixes: dict[str, Endpoint] = {}
        self._actors: Endpoint | None = None
        self._invoked = InvokeRoutes()

    def clear(self) -> None:
        """Answer nothing any more."""
        self.__init__(self._gate)  # type: ignore[misc]  # the object stays, routes have it

    def add(self, method: str, path: str, endpoint: Endpoint) -> None:
        """Answer ``method`` on ``path``."""
        self._endpoints[method, path] = endpoint

    def add_topic(self, path: str, endpoint: Endpoint) -> None:
        """Answer events on ``path``, percent-encoded; a name in it may contain slashes."""
        self._paths += (path,)
        key = ("POST", unquote(path))
        self._by_segments[segments(path)] = endpoint
        ambiguous = key in self._endpoints
        self._endpoints[key] = self._by_raw_path if ambiguous else endpoint

    def add_prefix(self, prefix: str, endpoint: Endpoint) -> None:
        """Answer what is posted anywhere below ``prefix``, one of `PREFIXES`."""
        self._prefixes[prefix] = endpoint

    def add_actors(self, types: Sequence[str], endpoint: Endpoint) -> None:
        """Answer what a sidecar asks of actors; ``types`` are the paths of those there are."""
        self._paths += tuple(types)
        self._actors = endpoint

    def add_job(self, path: str, endpoint: Endpoint) -> None:
        """Answer a job's ticks on ``path``, percent-encoded."""
        self._paths += (path,)
        self._endpoints["POST", unquote(path)] = endpoint

    def add_invoke(self, method: str, parts: Sequence[str], endpoint: Endpoint) -> None:
        """Answer ``method`` on a path given in decoded parts, ``{name}`` for a parameter.

        Other verbs are answered 405 there; HEAD is answered as GET without the body.
        """
        for verb, target in self._invoked.add(method, parts, endpoint):
            if not self._invoked.has_parameters(parts):
                self._endpoints[verb, "/" + "/".join(parts)] = target

    def refused(self, scope: Scope) -> Endpoint | None:
        """Return what answers 405 on an invoked path; None where nothing is known of the path.

        ``OPTIONS`` is none of ours: a sidecar takes 405 for a subscription to a binding.
        """
        allowed = self._invoked.allowed(scope)
        if not allowed or scope["method"] == "OPTIONS":
            return None

        async def answer(scope: Scope, _: Receive, send: Send) -> None:
            refused = self._gate.refusal(scope, from_sidecar=False)
            if refused is not None:
                await refuse(scope, send, self._gate, *refused)
                return
            text = ", ".join(allowed)
            body = msgspec.json.encode(ErrorBody(f"this path takes {text}"))
            await _answer(send, 405, body, [_JSON_HEADER, (b"allow", text.encode())])

        return answer

    def find(self, scope: Scope) -> Endpoint | None:
        """Return the endpoint that answers, None where the request is not ours.

        The parameters of an invoked path are put into the scope's ``path_params``.
        """
        path: str = scope["path"]
        if scope.get("root_path"):
            path = path.removeprefix(scope["root_path"])
        endpoint = self._endpoints.get((scope["method"], path))
        if endpoint is None:
            return self._below(scope["method"], path) or self._invoked.find(scope)
        return endpoint

    def _below(self, method: str, path: str) -> Endpoint | None:
        """Return what answers a path below a prefix of ours."""
        if not path.startswith(PREFIXES):
            is_actors = path.startswith(_ACTORS) and method in _ACTOR_METHODS
            return self._actors if is_actors else None
        if method == "POST":
            for prefix, endpoint in self._prefixes.items():
                if path.startswith(prefix):
                    return endpoint
        return self.unknown

    async def _by_raw_path(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Tell apart names whose slashes make them look alike once decoded."""
        raw: bytes = scope.get("raw_path") or b""
        found = self._by_segments.get(segments(raw.decode("latin-1")), self.unknown)
        await found(scope, receive, send)

    async def unknown(self, scope: Scope, _: Receive, send: Send) -> None:
        """Answer 500 below our prefixes: a sidecar takes 404 for "done".

        Of an event it means that it is dropped, of a job's tick that it is not tried again.
        """
        refused = self._gate.refusal(scope, from_sidecar=True)
        if refused is not None:
            await refuse(scope, send, self._gate, *refused)
            return
        prefix = f"/{scope['path'].split('/')[1]}/"
        paths = [path for path in self._paths if path.startswith(prefix)]
        known = ", ".join(paths[:_LISTED]) or "none"
        if len(paths) > _LISTED:
            known += f" and {len(paths) - _LISTED} more ('daprflow routes' lists them)"
        advice = _ADVICE.get(prefix, _ADVICE[PREFIXES[0]])
        logger.error(f"no handler for '%s'; {advice}", _request_line(scope), known)  # noqa: G004 - one of a few texts
        await send_error(send, 500, "no handler is known for this path")


def handler_endpoint(kind: str, name: str, call: Next, gate: Gate) -> Endpoint:
    """Return the endpoint that reads a body and hands it to a compiled handler."""
    limit = gate.max_body
    from_sidecar = kind != "invoke"

    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        refused = gate.refusal(scope, from_sidecar=from_sidecar)
        if refused is not None:
            if refused[1] is STOPPING:
                await send_outcome(send, put_off(kind, STOPPING))
            else:
                await refuse(scope, send, gate, *refused)
            return
        message = await receive()
        body = message.get("body", b"")
        if message.get("more_body") or len(body) > limit or message["type"] != "http.request":
            try:
                body = await _rest(message, receive, limit)
            except TooLarge:
                await refuse(scope, send, gate, *gate.too_large)
                return
            except Disconnected:
                return
        token = DELIVERED.set(scope["headers"])  # what the client takes along of its trace
        try:
            outcome = await call(Delivery(kind, name, body, scope["headers"], scope))
        except CancelledError as error:
            if not gate.ends(error):
                raise
            outcome = put_off(kind, CUT_OFF)
        finally:
            DELIVERED.reset(token)
        if outcome is SUCCESS:  # nearly always, so without a detour
            headers = [*_SUCCESS_HEADERS]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": SUCCESS.body})
        else:
            await send_outcome(send, outcome)

    return endpoint


def stacked(endpoint: Endpoint, middleware: "Sequence[Middleware]") -> Endpoint:
    """Return an endpoint inside Starlette middleware, the first one outermost."""
    app: Any = endpoint
    for factory, args, options in reversed(middleware):
        app = factory(app, *args, **options)
    inside: Endpoint = app
    return inside


def static_endpoint(body: bytes, gate: Gate, asked: Callable[[], None] | None = None) -> Endpoint:
    """Return an endpoint that only the sidecar may ask and that always answers the same.

    ``asked`` is called when it was answered.
    """

    async def endpoint(scope: Scope, _: Receive, send: Send) -> None:
        refused = gate.refusal(scope, from_sidecar=True)
        if refused is not None:
            await refuse(scope, send, gate, *refused)
            return
        await _answer(send, 200, body, [_JSON_HEADER])
        if asked is not None:
            asked()

    return endpoint


def health_endpoint(check: Callable[[], Awaitable[tuple[int, bytes]]]) -> Endpoint:
    """Return an endpoint for probes, which carry no token; it never waits for a thread."""

    async def endpoint(scope: Scope, _: Receive, send: Send) -> None:
        status, body = await check()
        await _answer(send, status, b"" if scope["method"] == "HEAD" else body, [_JSON_HEADER])

    return endpoint


async def refuse(scope: Scope, send: Send, gate: Gate, status: int, reason: str) -> None:
    """Answer why a request is refused; the log says it once, since strangers send these."""
    if gate.is_open and status not in gate.told:
        gate.told.add(status)
        logger.warning(
            "refused '%s' with %d: %s; further ones are not logged",
            _request_line(scope),
            status,
            reason,
        )
    await send_error(send, status, reason)


async def send_error(send: Send, status: int, message: str) -> None:
    """Answer an error as JSON; after 413 the connection ends, since its body was not read."""
    headers = [_JSON_HEADER]
    if status == 413:  # noqa: PLR2004 - the status is the point
        headers.append((b"connection", b"close"))
    elif message is NOT_STARTED:  # for 'daprflow check': middleware may write another body
        headers.append((REACHED.encode(), b"not started"))
    await _answer(send, status, msgspec.json.encode(ErrorBody(message)), headers)


async def body_of(receive: Receive, limit: int) -> bytes:
    """Return a request's body.

    Raises:
        TooLarge: it is longer than ``limit``.
        Disconnected: the peer went away before it was complete.
    """
    message = await receive()
    body: bytes = message.get("body", b"")
    if message.get("more_body") or len(body) > limit or message["type"] != "http.request":
        return await _rest(message, receive, limit)
    return body


async def _rest(
    message: Mapping[str, object] | dict[str, object], receive: Receive, limit: int
) -> bytes:
    """Read on until the body is complete."""
    pieces: list[bytes] = []
    size = 0
    current: Mapping[str, object] = message
    while True:
        if current["type"] != "http.request":
            raise Disconnected
        piece = current.get("body", b"")
        if isinstance(piece, bytes):
            pieces.append(piece)
            size += len(piece)
        if size > limit:
            raise TooLarge
        if not current.get("more_body"):
            return b"".join(pieces)
        current = await receive()


async def send_outcome(send: Send, outcome: Outcome) -> None:
    """Answer what a handler made of a request."""
    headers = []
    if outcome.content_type:
        kind = outcome.content_type
        headers.append((b"content-type", b"application/json" if kind is JSON else _header(kind)))
    for name, value in outcome.headers:
        headers.append((_header(name), _header(value)))
    await _answer(send, outcome.http_status, outcome.body, headers)


def _header(text: str) -> bytes:
    """Encode a header, UTF-8 where Latin-1 does not hold it; a line break would begin another."""
    text = text.replace("\r", " ").replace("\n", " ")
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode(errors="replace")


async def _answer(
    send: Send, status: int, body: bytes, headers: Sequence[tuple[bytes, bytes]]
) -> None:
    # Fresh messages each time: middleware around us may change them in place.
    head = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})


def _request_line(scope: Scope) -> str:
    """Return method and path for a log line; a line break in the path stays encoded."""
    path = quote(scope["path"][:_PATH_SHOWN])
    return f"{scope['method']} {path}{'…' if len(scope['path']) > _PATH_SHOWN else ''}"


def segments(path: str) -> tuple[str, ...]:
    """Split a path as it came, then decode its parts, so that ``%2F`` stays inside a name."""
    return tuple(unquote(part) for part in path.split("/"))
