"""What an app answered to a raw call, whole or in pieces."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from daprflow.addresses import type_name
from daprflow.errors import InvocationError
from daprflow.handlers.codecs import NO_CODECS, Codecs
from daprflow.protocol.http import Headers, StreamedResponse

T = TypeVar("T")


def first(headers: Headers, name: str) -> str:
    """Return the first value of a header, empty where there is none."""
    wanted = name.lower()
    return next((value for key, value in headers if key == wanted), "")


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to a raw call.

    Attributes:
        status: the HTTP status.
        headers: name and value pairs as they came, names in lower case.
        body: the bytes, decompressed where the app had compressed them.
        codecs: what ``json`` decodes types of the user's own with.

    Example:
        ```python
        answer = await client.request("pricing", "price", Order("7"))
        if answer.status == 200:
            print(answer.json(int))
        ```
    """

    status: int
    headers: Headers
    body: bytes
    codecs: Codecs = field(default=NO_CODECS, repr=False, compare=False)

    def header(self, name: str) -> str:
        """Return the first value of a header in any case, empty where there is none.

        Args:
            name: in any case.

        Example:
            ```python
            answer = await client.request("pricing", "price", Order("7"))
            print(answer.header("content-type"))
            ```
        """
        return first(self.headers, name)

    @property
    def text(self) -> str:
        """The body as UTF-8 text; what is not becomes replacement characters."""
        return self.body.decode("utf-8", "replace")

    def json(self, payload: type[T]) -> T:
        """Return the body decoded to ``payload``.

        Raises:
            InvocationError: it is something else; the text says why, without the value.

        Example:
            ```python
            answer = await client.request("pricing", "price", Order("7"))
            total = answer.json(int)
            ```
        """
        try:
            found: T = self.codecs.decoder(payload).decode(self.body)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            reason = error.reason if isinstance(error, UnicodeDecodeError) else error
            raise InvocationError(
                f"the answer is not '{type_name(payload)}': {reason}",
                status=self.status,
                body=self.body,
            ) from None
        return found


class StreamingResponse:
    """An answer whose body comes in pieces: ``async for chunk in response``.

    Attributes:
        status: the HTTP status.
        headers: name and value pairs as they came, names in lower case.

    Example:
        ```python
        async with client.stream("files", "report.csv", verb="GET") as answer:
            first = await anext(aiter(answer))
        ```
    """

    def __init__(self, response: StreamedResponse) -> None:
        self.status: int = response.status
        self.headers: Headers = response.headers
        self._chunks = response.chunks

    def header(self, name: str) -> str:
        """Return the first value of a header in any case, empty where there is none.

        Args:
            name: in any case.

        Example:
            ```python
            async with client.stream("files", "report.csv", verb="GET") as answer:
                print(answer.status, answer.header("content-length"))
            ```
        """
        return first(self.headers, name)

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Give the body piece by piece, as it comes.

        Raises:
            SidecarUnavailable: the connection broke, or a piece was too long in coming.
        """
        return self._chunks

    async def read(self, limit: int = 64 * 1024 * 1024) -> bytes:
        """Return what is left of the body, at once.

        Raises:
            InvocationError: it is longer than ``limit`` bytes.

        Example:
            ```python
            async with client.stream("files", "report.csv", verb="GET") as answer:
                body = await answer.read(limit=1_000_000)
            ```
        """
        pieces = []
        size = 0
        async for chunk in self._chunks:
            size += len(chunk)
            if size > limit:
                raise InvocationError(
                    f"the answer is longer than {limit} bytes; read it in pieces",
                    status=self.status,
                )
            pieces.append(chunk)
        return b"".join(pieces)
