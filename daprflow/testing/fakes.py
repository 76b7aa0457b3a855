"""Other teams' apps, answered by a test's own functions."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import msgspec
from starlette.exceptions import HTTPException

from daprflow.addresses import Endpoint
from daprflow.client import payload
from daprflow.handlers.decoding import BodyDecoder, Undecodable
from daprflow.protocol.http import (
    JSON,
    HttpRequest,
    HttpResponse,
    StreamedRequest,
    StreamedResponse,
)

logger = logging.getLogger(__name__)


class _Refusal(msgspec.Struct, frozen=True):
    error: str


@dataclass(frozen=True, slots=True)
class _Fake:
    """One method: its decoder (None where it takes nothing) and what answers."""

    decoder: BodyDecoder | None
    function: Callable[..., Awaitable[Any]]


class FakeApp:
    """The app channel of an app that is not there."""

    def __init__(self, app_id: str) -> None:
        self._app_id = app_id
        self._methods: dict[str, _Fake] = {}

    def answer(self, endpoint: Endpoint[Any, Any], function: Callable[..., Awaitable[Any]]) -> None:
        """Answer ``endpoint`` with what ``function`` returns; a later one replaces it."""
        takes: Any = endpoint.takes
        decoder = None if takes in (None, type(None)) else BodyDecoder(takes)
        self._methods[endpoint.method.strip("/")] = _Fake(decoder, function)

    async def send(self, request: HttpRequest, /) -> HttpResponse:
        """Answer one call."""
        return await self._answer(request.target, request.body)

    async def stream(self, request: StreamedRequest, /) -> StreamedResponse:
        """Answer one call whose body arrives in pieces."""
        body = b"".join([chunk async for chunk in request.chunks])
        response = await self._answer(request.target, body)
        return StreamedResponse(
            response.status, response.headers, _once(response.body), _do_nothing
        )

    async def check(self, request: HttpRequest, /) -> HttpResponse:
        """Answer a health probe; its app is always well."""
        del request
        return HttpResponse(200)

    async def probe(self) -> bool:
        """Tell that the app is there."""
        return True

    async def close(self) -> None:
        """Do nothing."""

    async def _answer(self, target: str, body: bytes) -> HttpResponse:
        method = unquote(target.partition("?")[0]).strip("/")
        fake = self._methods.get(method)
        if fake is None:
            known = ", ".join(f"'{name}'" for name in self._methods)
            return _refusal(404, f"no fake for method '{method}' of '{self._app_id}' ({known})")
        try:
            if fake.decoder is None:
                result = await fake.function()
            else:
                result = await fake.function(fake.decoder.decode(body))
            return _result(result)
        except Undecodable as error:
            return _refusal(400, str(error))
        except HTTPException as error:
            return _refusal(error.status_code, error.detail)
        except Exception:
            logger.exception("the fake of method '%s' of app '%s' failed", method, self._app_id)
            return _refusal(500, "the fake failed; see the log")


def _result(result: object) -> HttpResponse:
    if result is None:
        return HttpResponse(200)
    sent = payload.encode(result)
    return HttpResponse(200, (("content-type", sent.content_type),), sent.body)


def _refusal(status: int, text: str) -> HttpResponse:
    body = msgspec.json.encode(_Refusal(text))
    return HttpResponse(status, (("content-type", JSON),), body)


async def _once(body: bytes) -> AsyncIterator[bytes]:
    if body:
        yield body


async def _do_nothing() -> None:
    """Give up a body that is at hand already."""
