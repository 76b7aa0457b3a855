"""``bindings.http``: an output binding that calls a URL."""

import asyncio
import ssl
from collections.abc import Mapping
from os.path import isfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from daprflow.sidecar.components.base import BindingAnswer, ComponentContext, ComponentError
from daprflow.sidecar.components.durations import read_seconds

if TYPE_CHECKING:
    import aiohttp
    from yarl import URL

_TRUE = frozenset({"y", "yes", "true", "t", "on", "1"})
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_JSON = "application/json; charset=utf-8"
_REDIRECTS = 10
_KEEPS_METHOD = frozenset({307, 308})
_MIB = 1024 * 1024
_UNITS = {"Ki": 1024, "Mi": _MIB, "Gi": 1024 * _MIB, "K": 1000, "M": 1000**2, "G": 1000**3}


_TRACE = ("traceparent", "tracestate", "baggage")
"""Metadata that a call's trace is in; they go on as headers, whatever else is said."""


class HttpBinding:
    """Calls one URL, with a path from the request; another host never gets the security token."""

    capabilities = ("OUTPUT_BINDING",)
    operations = (
        "create", "get", "head", "post", "put", "patch", "delete", "options", "trace",
    )  # fmt: skip

    def __init__(self, context: ComponentContext) -> None:
        self._metadata = context.metadata
        self._base_dir = context.base_dir
        self._session: aiohttp.ClientSession | None = None
        self._limit = 100 * _MIB

    async def open(self) -> None:
        """Check the settings and make the client."""
        import aiohttp  # noqa: PLC0415 - loaded by those who use this binding

        metadata = self._metadata
        if not metadata.get("url", "").startswith(("http://", "https://")):
            raise ComponentError("'url' must be set, and start with http:// or https://")
        self._limit = _size(metadata.get("maxresponsebodysize") or "100Mi")
        timeout = aiohttp.ClientTimeout(total=_timeout(metadata.get("responsetimeout", "")))
        tls = await asyncio.to_thread(_tls, metadata, self._base_dir)
        self._session = aiohttp.ClientSession(
            timeout=timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            connector=aiohttp.TCPConnector(ssl=tls),
        )

    async def close(self) -> None:
        """Give back the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def invoke(
        self, operation: str, data: bytes, metadata: Mapping[str, str], /
    ) -> BindingAnswer:
        """Call the URL; an answer that is not 2xx is an error that keeps data and metadata."""
        import aiohttp  # noqa: PLC0415 - loaded already, by `open`
        from yarl import URL  # noqa: PLC0415 - comes with it

        if self._session is None:
            raise ComponentError("the binding is closed")
        method = "POST" if operation == "create" else operation.upper()
        url = URL(self._url(metadata.get("path", "")))
        headers = self._headers(method, metadata)
        body = data if method in _WITH_BODY else None
        try:
            for _ in range(_REDIRECTS):
                async with self._session.request(
                    method,
                    url,
                    headers=headers,
                    data=body,
                    allow_redirects=False,
                    skip_auto_headers=("content-type",),
                ) as answer:
                    content = await self._body(answer)
                following = _redirect(answer, url)
                if following is None:
                    break
                if following.origin() != url.origin():
                    headers.pop(self._metadata.get("securitytokenheader", ""), None)
                url = following
                if answer.status not in _KEEPS_METHOD and method != "HEAD":
                    method, body = "GET", None
            else:
                raise ComponentError(f"stopped after {_REDIRECTS} redirects")
        except TimeoutError:
            raise ComponentError("no answer within responseTimeout") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise ComponentError(str(error) or type(error).__name__) from error
        return self._answer(answer, content, metadata)

    def _answer(
        self, answer: "aiohttp.ClientResponse", content: bytes, metadata: Mapping[str, str]
    ) -> BindingAnswer:
        found = {"statusCode": str(answer.status), "status": f"{answer.status} {answer.reason}"}
        for name in dict.fromkeys(answer.headers):
            found[name] = ", ".join(answer.headers.getall(name))
        failed = not 200 <= answer.status < 300 and self._strict(metadata)  # noqa: PLR2004 - the 2xx
        error_text = f"received status code {answer.status}" if failed else ""
        return BindingAnswer(content, found, error=error_text)

    def _url(self, path: str) -> str:
        base = self._metadata["url"]
        return f"{base.rstrip('/')}/{path.lstrip('/')}" if path else base

    def _headers(self, method: str, metadata: Mapping[str, str]) -> dict[str, str]:
        headers = {"Accept": _JSON}
        if method in _WITH_BODY:
            headers["Content-Type"] = _JSON
        token = self._metadata.get("securitytoken")
        name = self._metadata.get("securitytokenheader")
        if token and name:
            headers[name] = token
        headers.update((k, v) for k, v in metadata.items() if k[:1].isupper())
        for trace in _TRACE:
            if metadata.get(trace):
                headers = {k: v for k, v in headers.items() if k.lower() != trace}
                headers[trace] = metadata[trace]
        return headers

    def _strict(self, metadata: Mapping[str, str]) -> bool:
        own = metadata.get("errorIfNot2XX") or self._metadata.get("errorifnot2xx") or "true"
        return own.lower() in _TRUE

    async def _body(self, answer: "aiohttp.ClientResponse") -> bytes:
        parts: list[bytes] = []
        size = 0
        async for part in answer.content.iter_any():
            parts.append(part)
            size += len(part)
            if 0 <= self._limit < size:
                raise ComponentError(f"the answer is larger than {self._limit} bytes")
        return b"".join(parts)


def _redirect(answer: "aiohttp.ClientResponse", url: "URL") -> "URL | None":
    """Return where an answer leads, None when it leads nowhere."""
    from yarl import URL  # noqa: PLC0415 - comes with aiohttp

    location = answer.headers.get("location")
    if not 300 <= answer.status < 400 or not location:  # noqa: PLR2004 - the 3xx
        return None
    return url.join(URL(location))


def _timeout(text: str) -> float | None:
    return read_seconds(text, "responseTimeout") if text else None


def _size(text: str) -> int:
    """Read a quantity of bytes: a number with ``Ki``, ``Mi``, ``Gi``, ``K``, ``M`` or ``G``."""
    unit = next((unit for unit in _UNITS if text.endswith(unit)), "")
    number = text.removesuffix(unit)
    if not number.lstrip("-").isdecimal():
        raise ComponentError(f"maxResponseBodySize '{text}' is not a size such as 100Mi")
    return int(number) * _UNITS.get(unit, 1)


def _tls(metadata: Mapping[str, str], base_dir: Path) -> ssl.SSLContext | bool:
    """Return the TLS settings; certificates are PEM text or files."""
    root = metadata.get("mtlsrootca", "")
    certificate = metadata.get("mtlsclientcert", "")
    key = metadata.get("mtlsclientkey", "")
    if bool(certificate) != bool(key):
        raise ComponentError("set both MTLSClientCert and MTLSClientKey, or neither")
    if not root and not certificate:
        return True
    with TemporaryDirectory(prefix="daprflow-") as folder:
        try:
            context = ssl.create_default_context()
            if root:
                context.load_verify_locations(
                    _file("MTLSRootCA", root, base_dir, Path(folder) / "root")
                )
            if certificate:
                context.load_cert_chain(
                    _file("MTLSClientCert", certificate, base_dir, Path(folder) / "certificate"),
                    _file("MTLSClientKey", key, base_dir, Path(folder) / "key"),
                )
        except (OSError, ssl.SSLError) as error:
            raise ComponentError(f"the TLS certificates cannot be used: {error}") from error
    return context


def _file(name: str, text: str, base_dir: Path, spare: Path) -> Path:
    """Return a file with what ``text`` holds or names; `ssl` loads certificates from files only."""
    if "-----BEGIN" not in text:
        file = base_dir / text
        if not isfile(file):  # noqa: PTH113 - that one fails on texts too long for a name
            raise ComponentError(f"{name} '{text}' is neither PEM text nor a file")
        return file
    spare.touch(mode=0o600)
    spare.write_text(text, encoding="ascii")
    return spare
