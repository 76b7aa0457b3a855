"""Raw service invocation: the client's methods for it."""

from contextlib import AbstractAsyncContextManager
from typing import Unpack

from daprflow.client import raw
from daprflow.client.base import BaseClient
from daprflow.client.raw import Options, RequestOptions
from daprflow.client.response import Response, StreamingResponse


class Requesting(BaseClient):
    """The part of the client that calls methods of apps without an `Endpoint`."""

    async def request(
        self, app_id: str, method: str, data: object = None, /, **options: Unpack[RequestOptions]
    ) -> Response:
        """Call a method of an app and return what it answered, as it is.

        Args:
            app_id: the app, ``app.namespace``, the name of an HTTPEndpoint, or a whole URL.
            method: the path below the app's root, unescaped and without a query.
            data: bytes and text as they are, anything else as JSON; None is an empty body.
            **options: ``verb`` (``POST``), ``headers``, ``query``, ``content_type``, ``timeout``
                and ``raise_for_status``: false returns every status.

        Raises:
            InvocationError: the answer's status is 400 or above; with a ``code`` where the sidecar
                did not reach the app.
            SidecarUnavailable: no sidecar answered.

        Example:
            ```python
            answer = await client.request("pricing", "price?id=7", verb="GET")
            print(answer.status, answer.json(int))
            ```
        """
        return await raw.request(self._caller, app_id, method, data, Options(**options))

    def stream(
        self, app_id: str, method: str, data: object = None, /, **options: Unpack[RequestOptions]
    ) -> AbstractAsyncContextManager[StreamingResponse]:
        """Call a method of an app with bodies in pieces, none of which waits for the others.

        ``async with client.stream("files", "big", chunks()) as response: async for chunk in
        response: ...``. The sidecar repeats no call whose request comes in pieces.

        Args:
            app_id: as for ``request``.
            method: as for ``request``.
            data: an async iterable of bytes, or whatever ``request`` takes.
            **options: as for ``request``; ``timeout`` is for each piece.

        Returns:
            what ``async with`` enters; it gives the answer when its headers are there.

        Raises:
            InvocationError: the answer's status is 400 or above.
            SidecarUnavailable: no sidecar answered, or a piece was too long in coming.
            TypeError: the client's transport cannot stream.

        Example:
            ```python
            async with client.stream("files", "report.csv", verb="GET") as answer:
                async for chunk in answer:
                    print(len(chunk))
            ```
        """
        return raw.stream(self._caller, app_id, method, data, Options(**options))
