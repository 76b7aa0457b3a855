import httpx2

from daprflow.protocol.http import HttpRequest, HttpResponse
from daprflow.transports.base import ConnectionLost


class HttpxTransport:
    """Calls of a sidecar through httpx: its proxies, certificates and event hooks apply."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self._client = client

    @property
    def address(self) -> str:
        """Where the sidecar is, for messages."""
        return str(self._client.base_url)

    async def send(self, request: HttpRequest, /) -> HttpResponse:
        """Carry one request; the target stands as it is, since it is escaped already."""
        url = self._client.base_url.copy_with(raw_path=request.target.encode())
        try:
            answer = await self._client.request(
                request.method, url, content=request.body, headers=list(request.headers)
            )
        except httpx2.TransportError as error:
            raise ConnectionLost(f"no sidecar answered at {self.address}: {error}") from error
        headers = tuple((name.lower(), value) for name, value in answer.headers.multi_items())
        return HttpResponse(answer.status_code, headers, answer.content)

    async def close(self) -> None:
        """Leave the connections to whoever made the httpx client."""
