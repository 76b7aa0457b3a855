"""One call on the HTTP API: what came in, and the answer that goes out."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote_to_bytes

import msgspec

from daprflow.protocol.fault import Fault

if TYPE_CHECKING:
    from daprflow.sidecar.runtime import Runtime

Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
HeaderPair = tuple[bytes, bytes]
Refusal = Callable[[str], Fault]

JSON_TYPE = (b"content-type", b"application/json")
_METADATA = "metadata."
_DRAINED = 16 * 1024 * 1024
_HEX = frozenset(b"0123456789abcdefABCDEF")


class Answer(msgspec.Struct, frozen=True):
    """What goes back.

    Attributes:
        traced: whether the trace headers are added, as on every route but health.
    """

    status: int = 204
    body: bytes = b""
    headers: tuple[HeaderPair, ...] = ()
    traced: bool = True


DONE = Answer()


class ClientGone(Exception):  # noqa: N818 - named for what happened
    """The caller went away; nobody waits for the answer."""


class BadEscape(Exception):  # noqa: N818 - named for what it is
    """A path holds a percent sign that no two hexadecimal digits follow."""


class Call:
    """One call.

    Attributes:
        method: upper-case verb.
        path: cleaned, still percent-encoded.
        segments: the path's parts, still percent-encoded.
        headers: the first value of each name.
        raw_path: the path as it came.
    """

    __slots__ = ("headers", "method", "path", "raw_path", "receive", "runtime", "scope", "segments")

    def __init__(self, runtime: "Runtime", scope: Scope, receive: Receive) -> None:
        self.runtime = runtime
        self.scope = scope
        self.receive = receive
        self.method: str = scope["method"]
        self.headers: dict[bytes, bytes] = dict(reversed(scope["headers"]))
        self.raw_path = _raw_path(scope)
        self.path = clean(self.raw_path)
        self.segments = self.path.split(b"/")[1:]

    def header(self, name: bytes, default: str = "") -> str:
        """Return a header's value as text."""
        value = self.headers.get(name)
        return default if value is None else value.decode("latin-1")

    def segment(self, index: int) -> str:
        """Return one part of the path, unescaped by query rules (``+`` is a space)."""
        return unescape(self.segments[index])

    def rest(self, index: int) -> str:
        """Return the path from one part on, unescaped."""
        return unescape(b"/".join(self.segments[index:]))

    def query(self) -> dict[str, str]:
        """Return the query; of a name that repeats, the first value."""
        raw: bytes = self.scope["query_string"]
        if not raw:
            return {}
        pairs = parse_qsl(raw.decode("latin-1"), keep_blank_values=True)
        return dict(reversed(pairs))

    def metadata(self) -> dict[str, str]:
        """Return the request metadata, which comes as ``metadata.*`` in the query."""
        return {
            name[len(_METADATA) :]: value
            for name, value in self.query().items()
            if name.startswith(_METADATA)
        }

    async def body(self, refused: Refusal | None = None) -> bytes:
        """Read the whole body.

        Args:
            refused: makes the route's own fault of what is too large.

        Raises:
            Fault: it is larger than the sidecar accepts.
        """
        limit = self.runtime.options.max_body_size
        event = await self.receive()
        chunk: bytes = event.get("body", b"")
        if event["type"] == "http.request" and not event.get("more_body", False):
            if 0 <= limit < len(chunk):
                raise too_large(limit, refused or _unread)
            return chunk
        return await self._rest(event, limit, refused or _unread)

    async def _rest(self, event: Event, limit: int, refused: Refusal) -> bytes:
        length = self.headers.get(b"content-length", b"")
        if length.isdigit() and 0 <= limit < int(length):
            await drain(self.receive, event)
            raise too_large(limit, refused)
        parts: list[bytes] = []
        size = 0
        while True:
            if event["type"] == "http.disconnect":
                raise ClientGone
            part: bytes = event.get("body", b"")
            parts.append(part)
            size += len(part)
            if 0 <= limit < size:
                parts.clear()
                await drain(self.receive, event)
                raise too_large(limit, refused)
            if not event.get("more_body", False):
                return b"".join(parts)
            event = await self.receive()


async def drain(receive: Receive, event: Event) -> None:
    """Take in what a caller still sends after ``event``, up to a limit.

    Most callers read an answer when they have sent everything, and a connection that is closed
    before that is reset.
    """
    size = 0
    while size < _DRAINED and event.get("more_body", False):
        event = await receive()
        size += len(event.get("body", b""))


def too_large(limit: int, refused: Refusal) -> Fault:
    """Return the fault of a body over the limit; the connection is given up with it."""
    fault = refused(
        f"stream too large: it has more than {limit} bytes; "
        "send less, or start the sidecar with a larger --max-body-size"
    )
    fault.headers = (*fault.headers, (b"connection", b"close"))
    return fault


def _unread(text: str) -> Fault:
    return Fault(400, "ERR_BODY_READ", f"failed to read request body: {text}")


def json_answer(body: bytes, *headers: HeaderPair) -> Answer:
    """Return a 200 with a JSON body."""
    return Answer(200, body, (JSON_TYPE, *headers))


def text_answer(status: int, text: str, *headers: HeaderPair) -> Answer:
    """Return one line of plain text, as Go's ``http.Error`` writes it."""
    plain = (
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"x-content-type-options", b"nosniff"),
    )
    return Answer(status, f"{text}\n".encode(), (*plain, *headers))


def fault_answer(fault: Fault) -> Answer:
    """Return an error as it goes over the wire."""
    return Answer(fault.status, fault.encode(), (JSON_TYPE, *fault.headers))


def metadata_headers(metadata: Mapping[str, str]) -> tuple[HeaderPair, ...]:
    """Return response metadata as ``metadata.*`` headers; what cannot stand in one is left out."""
    return tuple(
        (f"metadata.{name.lower()}".encode("ascii"), value.encode("latin-1"))
        for name, value in metadata.items()
        if _is_token(name) and _is_value(value)
    )


def clean(path: bytes) -> bytes:
    """Return ``path`` as Go's ``path.Clean`` does: no empty parts, no dots, no slash at the end."""
    if b"//" not in path and b"/." not in path and (path[-1:] != b"/" or path == b"/"):
        return path
    kept: list[bytes] = []
    for part in path.split(b"/"):
        if part == b"..":
            del kept[-1:]
        elif part not in {b"", b"."}:
            kept.append(part)
    return b"/" + b"/".join(kept)


def unescape(part: bytes) -> str:
    """Undo percent-encoding by query rules.

    Raises:
        BadEscape: a percent sign stands alone.
    """
    if b"+" in part:
        part = part.replace(b"+", b" ")
    if b"%" in part:
        check_escapes(part)
        part = unquote_to_bytes(part)
    return part.decode("utf-8", "replace")


def check_escapes(part: bytes) -> None:
    """Refuse a percent sign that escapes nothing.

    Raises:
        BadEscape: a percent sign stands alone.
    """
    at = part.find(b"%")
    while at >= 0:
        digits = part[at + 1 : at + 3]
        if len(digits) != 2 or not _HEX.issuperset(digits):  # noqa: PLR2004 - two digits
            shown = part[at : at + 3].decode("latin-1")
            raise BadEscape(f'invalid URL escape "{shown}"')
        at = part.find(b"%", at + 3)


def _raw_path(scope: Scope) -> bytes:
    raw: bytes | None = scope.get("raw_path")
    if raw is None:
        from urllib.parse import quote  # noqa: PLC0415 - servers send raw_path; this is for others

        return quote(scope["path"]).encode("ascii")
    return raw.partition(b"?")[0]


def _is_token(name: str) -> bool:
    return name.isascii() and all(char.isalnum() or char in "!#$%&'*+-.^_`|~" for char in name)


def _is_value(value: str) -> bool:
    return all((" " <= char <= "\xff" and char != "\x7f") or char == "\t" for char in value)
