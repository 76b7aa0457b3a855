"""Error answers as RFC 9457 has them: ``application/problem+json``."""

from collections.abc import Sequence
from http import HTTPStatus

import msgspec
from starlette.types import Send

PROBLEM_JSON = "application/problem+json"
_HEADER = (b"content-type", PROBLEM_JSON.encode())
_CLOSE = (b"connection", b"close")


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a caller is told of an error.

    Attributes:
        title: the status in words.
        status: HTTP's.
        type: a URI for this kind of error; "about:blank" where the status says it all.
        detail: what is wrong with this request.
        error_id: what the log has a line about.
        exception: on loopback with ``debug``, the traceback.

    Example:
        ```python
        missing = Problem("no such order", 404, detail="there is no order '7'")
        ```
    """

    title: str
    status: int
    type: str = "about:blank"
    detail: str = ""
    error_id: str = ""
    exception: str = ""


def phrase(status: int) -> str:
    """Return a status in words."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


async def send_problem(
    send: Send,
    status: int,
    detail: str,
    headers: Sequence[tuple[bytes, bytes]] = (),
    *,
    close: bool = False,
) -> None:
    """Answer a problem; with ``close`` the connection ends, since the body was not read."""
    body = msgspec.json.encode(Problem(phrase(status), status, detail=detail))
    head = [_HEADER, (b"content-length", b"%d" % len(body)), *headers]
    if close:
        head.append(_CLOSE)
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})
