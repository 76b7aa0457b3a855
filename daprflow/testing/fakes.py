"""Other teams' apps, answered by a test's own functions."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import msgspec
from starlette.exceptions import HTTPException

from daprflow.addresses import Endpoint
from daprflow.client import payload
from daprflow.handlers.calling import taking_values
from daprflow.handlers.codecs import NO_CODECS, Codecs
from daprflow.handlers.decoding import BodyDecoder, Undecodable
from daprflow.handlers.handler import Delivery
from daprflow.handlers.inputs import arguments, spread_payload, whole_body
from daprflow.handlers.parameters import Parameter
from daprflow.handlers.registration import calling_source, source_of
from daprflow.handlers.signature import SignatureError, read_fields, read_handler
from daprflow.handlers.templates import TemplateError, parse
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
    """One method: its verb, its path, and what answers a delivery."""

    verb: str
    shape: tuple[str | None, ...]
    names: tuple[str, ...]
    answer: Callable[[Delivery], Awaitable[Any]]

    def values(self, parts: Sequence[str]) -> dict[str, str] | None:
        """Return the parameters of a path; None where it is another one."""
        if len(parts) != len(self.shape):
            return None
        pairs = list(zip(self.shape, parts, strict=True))
        if any(text not in (None, part) for text, part in pairs):
            return None
        return dict(zip(self.names, (part for text, part in pairs if text is None), strict=True))


class FakeApp:
    """The app channel of an app that is not there."""

    def __init__(self, app_id: str, codecs: Codecs = NO_CODECS) -> None:
        self._app_id = app_id
        self._codecs = codecs
        self._methods: dict[str, _Fake] = {}

    def answer(self, endpoint: Endpoint[Any, Any], function: Callable[..., Awaitable[Any]]) -> None:
        """Answer ``endpoint`` with what ``function`` returns; a later one replaces it.

        Raises:
            TypeError: the endpoint's path or the function's parameters cannot be used.
        """
        try:
            template = parse(endpoint.method)
            names = template.names if endpoint.is_route else ()
            parameters = _parameters(function, names)
            fields = read_fields(endpoint.takes)
        except (TemplateError, SignatureError) as error:
            raise TypeError(f"the fake of {endpoint!r} {error}") from None
        takes: Any = endpoint.takes
        payload: Callable[[Delivery], Any] | None = None
        if fields:
            payload = spread_payload(takes, fields, self._codecs)
        elif takes is not type(None):
            payload = whole_body(BodyDecoder(takes, self._codecs))
        inputs = arguments(parameters, self._codecs, payload)
        call = taking_values(function) if parameters else function

        async def run(delivery: Delivery) -> Any:
            return await call(*inputs(delivery))

        shape = template.shape if endpoint.is_route else template.parts
        self._methods[endpoint.address.strip("/")] = _Fake(endpoint.verb, shape, names, run)

    async def send(self, request: HttpRequest, /) -> HttpResponse:
        """Answer one call."""
        return await self._answer(request)

    async def stream(self, request: StreamedRequest, /) -> StreamedResponse:
        """Answer one call whose body arrives in pieces."""
        body = b"".join([chunk async for chunk in request.chunks])
        whole = HttpRequest(request.method, request.target, request.headers, body)
        response = await self._answer(whole)
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

    async def _answer(self, request: HttpRequest) -> HttpResponse:
        path, _, query = request.target.partition("?")
        parts = tuple(unquote(part) for part in path.strip("/").split("/"))
        method = "/".join(parts)
        found = [
            (fake, values)
            for fake in self._methods.values()
            if fake.verb == request.method and (values := fake.values(parts)) is not None
        ]
        if not found:
            known = ", ".join(f"'{name}'" for name in self._methods)
            text = (
                f"no fake for {request.method} of method '{method}' of '{self._app_id}' ({known})"
            )
            return _refusal(404, text)
        fake, values = min(found, key=lambda each: len(each[1]))  # a text goes before a parameter
        headers = [(name.encode(), value.encode()) for name, value in request.headers]
        scope = {"path_params": values, "query_string": query.encode()}
        try:
            result = await fake.answer(Delivery("invoke", method, request.body, headers, scope))
            return _result(result, self._codecs)
        except Undecodable as error:
            return _refusal(400, str(error))
        except HTTPException as error:
            return _refusal(error.status_code, error.detail)
        except Exception:
            logger.exception("the fake of method '%s' of app '%s' failed", method, self._app_id)
            return _refusal(500, "the fake failed; see the log")


def _parameters(function: Any, names: tuple[str, ...]) -> tuple[Parameter, ...]:
    """Return what a fake takes by name; one that takes whatever comes needs no path."""
    try:
        return read_handler(function, source_of(function, calling_source()), names).parameters
    except SignatureError:
        if names:
            raise
        return ()


def _result(result: object, codecs: Codecs) -> HttpResponse:
    if result is None:
        return HttpResponse(200)
    sent = payload.encode(result, None, codecs)
    return HttpResponse(200, (("content-type", sent.content_type),), sent.body)


def _refusal(status: int, text: str) -> HttpResponse:
    body = msgspec.json.encode(_Refusal(text))
    return HttpResponse(status, (("content-type", JSON),), body)


async def _once(body: bytes) -> AsyncIterator[bytes]:
    if body:
        yield body


async def _do_nothing() -> None:
    """Give up a body that is at hand already."""
