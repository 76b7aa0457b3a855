"""Brings what was recorded and what was observed into one form, in which only facts differ."""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
SCRIPT = re.compile(r"user_script:\d+|(?<=script: )[0-9a-f]{40}")
"""What a Redis error says about the script it comes from: its own text, not a fact."""
BASE64 = re.compile(r'"data_base64":"([A-Za-z0-9+/=]*)"')

ANY_PORT = "65536"
"""Stands for a port; a number, since it stands where a number does."""

ANSWER_HEADERS = ("content-type", "etag", "traceparent", "tracestate", "baggage")
"""Headers of an answer that are facts, beside ``metadata.*``; the rest belongs to the server."""

TRANSPORT_HEADERS = frozenset(
    {"accept-encoding", "connection", "content-length", "host", "transfer-encoding", "user-agent"}
)
"""Headers of a call that the HTTP client on the way adds of its own."""

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class NormalCall:
    """A call on the app as it is compared."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: str


@dataclass(frozen=True, slots=True)
class Normal:
    """A step's outcome as it is compared."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: Any
    calls: tuple[NormalCall, ...]


class Normaliser:
    """Replaces what changes from run to run; equal ids of one step get equal labels."""

    def __init__(self, places: Mapping[str, str]) -> None:
        self._places = places
        self._labels: dict[str, str] = {}

    def text(self, text: str) -> str:
        """Return ``text`` with places, times and ids replaced."""
        text = BASE64.sub(self._decoded, text)
        for place, name in self._places.items():
            text = text.replace(place, name)
        text = SCRIPT.sub("<script>", text)
        return UUID.sub(self._label, TIME.sub("<time>", text))

    def answer_headers(self, headers: Pairs) -> tuple[tuple[str, str], ...]:
        """Return the headers of an answer that are facts."""
        return self._sorted(
            [(k, v) for k, v in headers if k in ANSWER_HEADERS or k.startswith("metadata.")]
        )

    def call(self, method: str, target: str, headers: Pairs, body: str) -> NormalCall:
        """Return a call on the app as it is compared."""
        kept = [(key, value) for key, value in headers if key not in TRANSPORT_HEADERS]
        return NormalCall(method, self.text(target), self._sorted(kept), self.text(body))

    def body(self, text: str) -> Any:
        """Return an answer's body: decoded where it is JSON, for spacing is not a fact."""
        text = self.text(text)
        try:
            return msgspec.json.decode(text)
        except msgspec.DecodeError:
            return text

    def _sorted(self, headers: Pairs) -> tuple[tuple[str, str], ...]:
        return tuple(sorted((key, self.text(value)) for key, value in headers))

    def _label(self, match: re.Match[str]) -> str:
        return self._labels.setdefault(match[0], f"<id {len(self._labels) + 1}>")

    def _decoded(self, match: re.Match[str]) -> str:
        try:
            return f'"data_base64":"<{base64.b64decode(match[1]).decode()}>"'
        except (binascii.Error, UnicodeDecodeError):
            return match[0]


def anonymous(call: NormalCall) -> str:
    """Return a key for sorting calls whose order is no fact: the body without its labels."""
    return re.sub(r"<id \d+>", "<id>", call.body)
