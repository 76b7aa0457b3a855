"""Calls on plain HTTP hosts, for service invocation by address."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from daprflow.protocol.http import Headers, StreamedRequest, StreamedResponse
from daprflow.sidecar.channel.base import AppUnreachable

if TYPE_CHECKING:
    import ssl

    import aiohttp
    from yarl import URL

_CONNECT_TIMEOUT = 15.0
_REDIRECTS = 10
_REDIRECTING = frozenset({301, 302, 303})
_OF_A_BODY = frozenset({"content-type", "content-encoding", "content-language"})
_CREDENTIALS = frozenset({"authorization", "cookie", "www-authenticate"})


class ExternalHosts:
    """A client for hosts that are no Dapr apps; the app's token is never sent to them.

    Args:
        tls: what is trusted and shown; None trusts what this machine trusts.
    """

    def __init__(self, tls: "ssl.SSLContext | None" = None) -> None:
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def stream(self, base: str, request: StreamedRequest) -> StreamedResponse:
        """Send ``request`` to ``base`` + its target, and on to where redirects lead.

        Raises:
            AppUnreachable: no answer came, or one redirect too many.
        """
        import aiohttp  # noqa: PLC0415 - few calls go to plain hosts
        from yarl import URL  # noqa: PLC0415 - comes with aiohttp

        try:
            url = URL(base + request.target, encoded=True)
            for _ in range(_REDIRECTS):
                answer = await self._send(url, request)
                location = _location(answer)
                if not location:
                    return StreamedResponse(
                        answer.status, _headers(answer), _chunks(answer), _closer(answer)
                    )
                answer.release()
                following = url.join(URL(location))
                same_origin = following.origin() == url.origin()
                request = _redirected(request, same_origin=same_origin)
                url = following
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise AppUnreachable(str(error) or type(error).__name__) from error
        raise AppUnreachable(f"stopped after {_REDIRECTS} redirects")

    async def _send(self, url: "URL", request: StreamedRequest) -> "aiohttp.ClientResponse":
        return await self._open().request(
            request.method,
            url,
            headers=[*_sent(request), *_length(request)],
            data=None if request.length == 0 else request.chunks,
            allow_redirects=False,
            ssl=True if self._tls is None else self._tls,
            skip_auto_headers=("content-type", "user-agent", "accept"),
        )

    async def close(self) -> None:
        """Give back the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _open(self) -> "aiohttp.ClientSession":
        import aiohttp  # noqa: PLC0415 - few calls go to plain hosts

        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_TIMEOUT),
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session


def _sent(request: StreamedRequest) -> Headers:
    """Return the headers to send; the client would wait for an answer to ``Expect`` for ever."""
    return tuple(pair for pair in request.headers if pair[0] != "expect")


def _headers(answer: "aiohttp.ClientResponse") -> Headers:
    """Return the headers of an answer, a character for each byte."""
    return tuple(
        (name.lower(), value.encode("utf-8", "surrogateescape").decode("latin-1"))
        for name, value in answer.headers.items()
    )


def _location(answer: "aiohttp.ClientResponse") -> str:
    """Return where to go on; 307 and 308 are the caller's, as they ask for the body once more."""
    return answer.headers.get("location", "") if answer.status in _REDIRECTING else ""


def _redirected(request: StreamedRequest, *, same_origin: bool) -> StreamedRequest:
    """Return what is sent to the next place: no body, and credentials to the same host only."""
    method = "HEAD" if request.method == "HEAD" else "GET"
    dropped = _OF_A_BODY if same_origin else _OF_A_BODY | _CREDENTIALS
    headers = tuple(pair for pair in request.headers if pair[0] not in dropped)
    return replace(request, method=method, headers=headers, chunks=_nothing(), length=0)


async def _nothing() -> AsyncIterator[bytes]:
    pieces: tuple[bytes, ...] = ()
    for piece in pieces:
        yield piece


def _length(request: StreamedRequest) -> list[tuple[str, str]]:
    return [("content-length", str(request.length))] if request.length else []


async def _chunks(answer: "aiohttp.ClientResponse") -> AsyncIterator[bytes]:
    import aiohttp  # noqa: PLC0415 - loaded already, by whoever made the answer

    try:
        async for chunk in answer.content.iter_any():
            yield chunk
    except (aiohttp.ClientError, OSError) as error:
        raise AppUnreachable(str(error) or type(error).__name__) from error
    finally:
        answer.release()


def _closer(answer: "aiohttp.ClientResponse") -> Callable[[], Awaitable[None]]:
    async def close() -> None:
        answer.close()

    return close
