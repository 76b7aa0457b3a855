"""Who may call the sidecar: loopback names, no web pages, and the API token where one is set."""

from hashlib import sha256
from hmac import compare_digest
from ipaddress import ip_address

from daprflow.sidecar.http_api.call import Answer, Call, text_answer

_REMEMBERED = 64
_OPEN_PATHS = frozenset({b"/v1.0/healthz", b"/v1.0/healthz/outbound"})
_OWN_SITES = frozenset({b"same-origin", b"none"})


class Guard:
    """Decides on a call before anything of it is read.

    Args:
        api_token: what callers must send as ``dapr-api-token``; None or empty asks for nothing.
    """

    def __init__(self, api_token: str | None) -> None:
        self._digest = sha256(api_token.encode()).digest() if api_token else None
        self._hosts: set[bytes] = set()

    def refusal(self, call: Call) -> Answer | None:
        """Return the answer that refuses ``call``, None when it may go on."""
        refused = self.stranger(call.headers, call.scope["headers"])
        if refused is None and self._digest is not None:
            return self._check_token(call, self._digest)
        return refused

    def stranger(
        self, headers: dict[bytes, bytes], pairs: list[tuple[bytes, bytes]]
    ) -> Answer | None:
        """Return the answer that refuses other names than loopback's, and web pages.

        Args:
            headers: of the request.
            pairs: the same as they came.
        """
        host = headers.get(b"host")
        if len(pairs) != len(headers) and _repeats(pairs, b"host"):
            return text_answer(403, "refused: the request has several Host headers; send one")
        if host not in self._hosts and not self._admit(host):
            return _foreign_host(host)
        if b"origin" in headers or b"sec-fetch-site" in headers or b"sec-fetch-mode" in headers:
            return _web_page(headers, host or b"")
        return None

    def _admit(self, host: bytes | None) -> bool:
        if host is None or not is_loopback(host.decode("latin-1")):
            return False
        if len(self._hosts) < _REMEMBERED:
            self._hosts.add(host)
        return True

    def _check_token(self, call: Call, expected: bytes) -> Answer | None:
        if call.path in _OPEN_PATHS and call.method == "GET":
            return None
        given = sha256(call.headers.pop(b"dapr-api-token", b"")).digest()
        repeated = _repeats(call.scope["headers"], b"dapr-api-token")
        if compare_digest(given, expected) and not repeated:
            return None
        return text_answer(401, "invalid api token")


def is_loopback(host: str) -> bool:
    """Whether a Host header names this machine's loopback, with or without a port."""
    name, port = _split(host)
    if port is not None and not (port.isascii() and port.isdigit()):
        return False
    if name.lower() == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _split(host: str) -> tuple[str, str | None]:
    if host.startswith("["):
        name, bracket, rest = host[1:].partition("]")
        if not bracket or ":" not in name:
            return "", None
        return name, rest[1:] if rest.startswith(":") else (rest or None)
    name, colon, port = host.partition(":")
    return name, port if colon else None


def _repeats(pairs: list[tuple[bytes, bytes]], name: bytes) -> bool:
    return sum(key == name for key, _ in pairs) > 1


def _foreign_host(host: bytes | None) -> Answer:
    if host is None:
        return text_answer(403, "refused: the request has no Host header; send one")
    shown = host[:100].decode("ascii", "replace").encode("unicode_escape").decode()
    return text_answer(
        403,
        f"refused: Host '{shown}' is not a loopback name; "
        "call this sidecar as localhost or 127.0.0.1",
    )


def _web_page(headers: dict[bytes, bytes], host: bytes) -> Answer | None:
    """Refuse what a browser sends for a page of another origin."""
    origin = headers.get(b"origin")
    own = origin is None or origin in {b"http://" + host, b"https://" + host}
    site_is_own = headers.get(b"sec-fetch-site", b"none") in _OWN_SITES
    if own and site_is_own and headers.get(b"sec-fetch-mode") != b"no-cors":
        return None
    return text_answer(
        403,
        "refused: this request comes from a web page of another origin; "
        "call the sidecar from a program instead",
    )
