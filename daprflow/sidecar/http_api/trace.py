"""Trace context on the HTTP API: the caller's own is echoed, else the all-zero parent."""

import re

from daprflow.sidecar.http_api.call import Answer, Call, HeaderPair, text_answer

UNTRACED = "daprflow.untraced"
"""Marks the scope of a call that is no part of any trace (``samplingRate: "0"``)."""

NO_PARENT = b"00-00000000000000000000000000000000-0000000000000000-00"
_parent = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_member = re.compile(rb"\s*[!#$%&'*+.^_`|~0-9A-Za-z-]+\s*=[^,]*")


def parent_of(call: Call) -> tuple[str, str]:
    """Return the caller's ``traceparent`` and ``tracestate``, empty where there is none."""
    parent = call.headers.get(b"traceparent")
    if parent is None or UNTRACED in call.scope or not _parent.fullmatch(parent):
        return "", ""
    return parent.decode("ascii"), call.header(b"tracestate")


def trace_headers(call: Call) -> list[HeaderPair]:
    """Return what is echoed of the caller's trace context."""
    if UNTRACED in call.scope:
        return []
    headers = call.headers
    parent = headers.get(b"traceparent")
    pairs: list[HeaderPair] = []
    if parent is None or not _parent.fullmatch(parent):
        pairs.append((b"traceparent", NO_PARENT))
    else:
        pairs.append((b"traceparent", parent))
        if b"tracestate" in headers:
            pairs.append((b"tracestate", headers[b"tracestate"]))
    if b"baggage" in headers:
        pairs.append((b"baggage", headers[b"baggage"]))
    return pairs


def bad_baggage(call: Call) -> Answer | None:
    """Return the refusal of a ``baggage`` header that is not one, None when it is."""
    members = call.headers[b"baggage"].split(b",")
    if all(_member.fullmatch(member) for member in members):
        return None
    return text_answer(400, "invalid baggage header: write it as key=value, separated by commas")
