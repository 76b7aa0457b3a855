"""Calls on plain HTTP hosts, for service invocation by address."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING

from daprflow.protocol.http import StreamedRequest, StreamedResponse
from daprflow.sidecar.channel.base import AppUnreachable

if TYPE_CHECKING:
    import ssl

    import aiohttp

_CONNECT_TIMEOUT = 15.0


class ExternalHosts:
    """A client for hosts that are no Dapr apps; the app's token is never sent to them.

    Args:
        tls: what is trusted and shown; None trusts what this machine trusts.
    """

    def __init__(self, tls: "ssl.SSLContext | None" = None) -> None:
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def stream(self, base: str, request: StreamedRequest) -> StreamedResponse:
        """Send ``request`` to ``base`` + its target; redirects are returned, not followed.

        Raises:
            AppUnreachable: no answer came.
        """
        import aiohttp  # noqa: PLC0415 - few calls go to plain hosts
        from yarl import URL  # noqa: PLC0415 - comes with aiohttp

        session = self._open()
        try:
            url = URL(base.rstrip("/") + request.target, encoded=True)
            answer = await session.request(
                request.method,
                url,
                headers=[*request.headers, *_length(request)],
                data=None if request.length == 0 else request.chunks,
                allow_redirects=False,
                ssl=True if self._tls is None else self._tls,
                skip_auto_headers=("content-type", "user-agent", "accept"),
            )
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise AppUnreachable(str(error) or type(error).__name__) from error
        headers = tuple((name.lower(), value) for name, value in answer.headers.items())
        return StreamedResponse(answer.status, headers, _chunks(answer), _closer(answer))

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
