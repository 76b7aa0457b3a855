"""The ``path`` label of HTTP calls: what tells routes apart, and nothing that tells keys apart."""

import re
from collections.abc import Callable, Sequence
from typing import Final

from daprflow.protocol.configuration_file import MetricsSpec

_STATIC = frozenset({"/dapr/config", "/dapr/metrics", "/dapr/subscribe", "/healthz"})
_VERBS = frozenset({"GET", "PUT", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS", "CONNECT", "TRACE"})
_MOST = 4096
_SLASHES = re.compile(r"/{2,}")
_INVOKED: Final = "/v1.0/invoke/"
_SHORTEST, _PARTS, _ACTOR, _WORKFLOW = 3, 6, 5, 4


class PathLabels:
    """Makes the labels of calls, and remembers those it has made.

    Args:
        spec: of the configuration.
    """

    def __init__(self, spec: MetricsSpec) -> None:
        self._patterns = _patterns(spec.path_matching)
        self._detailed = spec.increased_cardinality
        self._verbs = not spec.exclude_verbs
        self._known: dict[str, str] = {}

    def method(self, method: str) -> str:
        """Return the label of a verb."""
        if not self._verbs:
            return ""
        return method if method in _VERBS else "UNKNOWN"

    def of(self, path: str) -> str:
        """Return the label of a path, which is decoded and has no query."""
        label = self._known.get(path)
        if label is None:
            if len(self._known) >= _MOST:
                self._known.clear()
            label = self._known[path] = self._make(path)
        return label

    def _make(self, path: str) -> str:
        if path in _STATIC:
            return path
        path = "/" + _SLASHES.sub("/", path).lstrip("/")
        for pattern, matches in self._patterns:
            if matches(path):
                return pattern
        return general(path) if self._detailed else ""


def general(path: str) -> str:
    """Return a path of the API, or of an app, without the keys and ids in it."""
    parts = path.removeprefix("/").split("/", _PARTS - 1)
    if len(parts) < _SHORTEST:
        return path
    if parts[0] == "actors":
        return "/".join((*parts[:2], "{id}", *parts[3:]))
    if parts[1] in {"state", "secrets"}:
        return "/" + "/".join(parts[:3])
    if parts[1] == "actors":
        if len(parts) < _ACTOR:
            return path
        return "/" + "/".join((*parts[:3], "{id}", parts[4]))
    return _workflow(path, parts) if parts[1] == "workflows" else path


def _workflow(path: str, parts: Sequence[str]) -> str:
    if len(parts) < _WORKFLOW:
        return path
    head = "/" + "/".join(parts[:3])
    if len(parts) == _WORKFLOW:
        return f"{head}/{{instanceId}}"
    if len(parts) == _ACTOR and parts[4].startswith("start"):
        return f"{head}/{parts[3]}/start"
    if len(parts) == _PARTS and parts[4] == "raiseEvent" and parts[5]:
        return f"{head}/{{instanceId}}/raiseEvent/{{eventName}}"
    return f"{head}/{{instanceId}}/{parts[4]}"


def _patterns(written: Sequence[str]) -> list[tuple[str, Callable[[str], object]]]:
    """Return what a path is compared with, the most special first.

    A pattern holds for a method of another app as well, where it names none itself.
    """
    wanted: set[str] = set()
    for text in written:
        pattern = "/" + _SLASHES.sub("/", text).lstrip("/")
        wanted.add(pattern)
        if not pattern.startswith(_INVOKED):
            wanted.add(f"{_INVOKED}{{app_id}}/method{pattern}")
    ordered = sorted(wanted, key=lambda each: (each.count("{"), -len(each)))
    return [(pattern, re.compile(_regex(pattern)).fullmatch) for pattern in ordered]


def _regex(pattern: str) -> str:
    """Return a pattern of Go's router as a regular expression."""
    parts = []
    for part in pattern.split("/"):
        if part == "{$}":
            parts.append("")
        elif part.startswith("{") and part.endswith("...}"):
            parts.append(".*")
        elif part.startswith("{") and part.endswith("}"):
            parts.append("[^/]+")
        else:
            parts.append(re.escape(part))
    text = "/".join(parts)
    return f"{text}.*" if pattern.endswith("/") else text
