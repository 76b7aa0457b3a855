"""What goes to the app with an event, and what its answer means."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from daprflow.protocol.deliveries import Status
from daprflow.protocol.envelopes import Head
from daprflow.protocol.gojson import GoJsonError, decode_go
from daprflow.protocol.http import CLOUDEVENTS_JSON, Headers, HttpResponse

NO_TRACE: Final = "00-00000000000000000000000000000000-0000000000000000-00"

_NOT_FORWARDED: Final = frozenset(
    {
        "connection",
        "content-length",
        "content-type",
        "dapr-api-token",
        "destination-app-id",
        "host",
        "http2-settings",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "pubsubname",
        "te",
        "trailer",
        "traceparent",
        "transfer-encoding",
        "upgrade",
    }
)
_name = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
_parent = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_control = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class _Answer(msgspec.Struct, forbid_unknown_fields=True):
    status: str = ""


_answer = msgspec.json.Decoder(_Answer)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a delivery, and why where it was not a success.

    Attributes:
        code: the app's HTTP status where it is what made this a failure; else 0.
    """

    status: Status
    reason: str = ""
    code: int = 0


SUCCESS: Final = Verdict(Status.SUCCESS)


def judge(response: HttpResponse) -> Verdict:
    """Read the answer to a single delivery, as the real runtime reads it.

    Any 2xx is a success unless its JSON says otherwise; the field may be named in any
    letters, the words are case-sensitive, and an unknown one means "again". 404 gives it up.
    """
    status = response.status
    if 200 <= status < 300:  # noqa: PLR2004 - the class of success
        return _judge_body(response.body) if response.body else SUCCESS
    if status == 404:  # noqa: PLR2004 - not found
        return Verdict(Status.DROP, "the app answered 404")
    return Verdict(Status.RETRY, f"the app answered {status}", status)


def _judge_body(body: bytes) -> Verdict:
    try:
        word = decode_go(_answer, body, "pubsub.AppResponse").status
    except GoJsonError:
        return SUCCESS
    if word in ("SUCCESS", ""):
        return SUCCESS
    if word == "DROP":
        return Verdict(Status.DROP, "the app answered DROP")
    if word == "RETRY":
        return Verdict(Status.RETRY, "the app answered RETRY")
    return Verdict(Status.RETRY, f"the app answered the unknown status '{word[:32]}'")


class HeaderMaker:
    """Makes the headers of deliveries of one subscription; the usual ones are made once."""

    __slots__ = ("_bare", "_fixed", "_untraced")

    def __init__(self, pubsub: str, content_type: str = CLOUDEVENTS_JSON) -> None:
        self._fixed: Headers = (("content-type", content_type), ("pubsubname", pubsub))
        self._bare: Headers = self._fixed
        self._untraced: Headers = (*self._fixed, ("traceparent", NO_TRACE))

    def make(self, metadata: Mapping[str, str] | None, traceparent: str | None) -> Headers:
        """Return the headers of one delivery.

        Args:
            metadata: the message's; becomes headers, except names that are the channel's own.
            traceparent: the event's; None where the event has no trace fields at all, and then
                no such header is sent. One that is not valid is sent as all zeros.
        """
        if traceparent is None:
            headers = self._bare
        elif traceparent and _parent.fullmatch(traceparent):
            headers = (*self._fixed, ("traceparent", traceparent))
        else:
            headers = self._untraced
        if metadata:
            return (*_as_headers(metadata), *headers)
        return headers


def _as_headers(metadata: Mapping[str, str]) -> Headers:
    """Turn publisher-chosen metadata into headers; what no header can carry is left out."""
    pairs: list[tuple[str, str]] = []
    for key, value in metadata.items():
        name = key.lower()
        if name in _NOT_FORWARDED or name.endswith("-bin") or not _name.fullmatch(name):
            continue
        pairs.append((name, _control.sub(" ", value).strip()))
    return tuple(pairs)


def trace_of(head: Head) -> str | None:
    """Return the trace parent an event carries, None when it has no trace fields."""
    parent: Any = head.traceparent if head.traceparent is not None else head.traceid
    if parent is None:
        return None
    return parent if isinstance(parent, str) else ""


def is_expired(expiration: Any, now: float) -> bool:
    """Tell whether an event's ``expiration`` has passed; one that cannot be read has not."""
    if not isinstance(expiration, str):
        return False
    try:
        return datetime.fromisoformat(expiration).timestamp() < now
    except (ValueError, OverflowError, OSError):
        return False
