"""Compiled binding and invoke handlers: a request's body in, an answer out."""

import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from msgspec import structs
from starlette.exceptions import HTTPException
from starlette.responses import Response

from daprflow.errors import Drop, Retry
from daprflow.handlers import verdicts
from daprflow.handlers.calling import Call
from daprflow.handlers.codecs import Codecs
from daprflow.handlers.decoding import BodyDecoder, Undecodable
from daprflow.handlers.envelopes import BindingEvent
from daprflow.handlers.faults import Faults
from daprflow.handlers.handler import Delivery, Next, Outcome, text
from daprflow.handlers.inputs import BadParameter, Inputs
from daprflow.handlers.pool import PoolFull
from daprflow.handlers.registration import InvokeOptions
from daprflow.protocol.deliveries import Status
from daprflow.protocol.envelopes import OCTET_STREAM
from daprflow.protocol.http import JSON

logger = logging.getLogger(__name__)

_NOT_METADATA = frozenset(
    {
        "connection",
        "content-length",
        "content-type",
        "dapr-api-token",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
STREAM_INSTEAD = "stream from a Starlette route instead: DaprFlow(..., routes=[...])"
_TEXT = "text/plain; charset=utf-8"
_NOT_JSON = (bytes, bytearray, memoryview, str, type(None), Response)
_MADE_ANEW = frozenset({"content-length", "content-type"})
_EMPTY_STATUSES = frozenset({204, 304})


def binding(call: Call, decoder: BodyDecoder | None, faults: Faults, *, envelope: bool) -> Next:
    """Return a handler of binding events; ``decoder`` is None where it takes no payload."""

    async def handle(delivery: Delivery) -> Outcome:
        try:
            if decoder is None:
                await call(delivery)
            else:
                data = decoder.decode(delivery.body)
                await call(delivery, _binding_event(data, delivery) if envelope else data)
        except verdicts.FAULTS as error:
            return await faults.outcome(delivery, error)
        return verdicts.DONE

    return handle


def event_raised(title: str, delivery: Delivery, error: BaseException) -> Outcome:
    """Return the verdict on a binding's or a job's event that an exception stands for."""
    match error:
        case Undecodable():
            return _undecodable(title, delivery, error, 500)
        case Retry():
            return verdicts.refusal(500, "the handler asked for this event again", error)
        case Drop():
            return Outcome(Status.DROP, 200, verdicts.DONE.body, error=error)
        case PoolFull():
            return verdicts.busy(delivery, error)
        case _:
            return verdicts.failed(title, delivery, error)


def invocation(
    call: Call,
    decoder: BodyDecoder | None,
    faults: Faults,
    answer: Callable[[Any], Outcome],
    inputs: Inputs | None = None,
) -> Next:
    """Return a handler of service invocations; only here an HTTPException keeps its status.

    ``inputs`` is for what takes more than a body of JSON, text or bytes; ``decoder`` is not looked
    at then.
    """

    async def handle(delivery: Delivery) -> Outcome:
        try:
            if inputs is not None:
                result = await call(delivery, *inputs(delivery))
            elif decoder is None:
                result = await call(delivery)
            else:
                result = await call(delivery, decoder.decode(delivery.body))
            return answer(result)
        except verdicts.FAULTS as error:
            return await faults.outcome(delivery, error)

    return handle


def call_raised(title: str, delivery: Delivery, error: BaseException) -> Outcome:
    """Return what a caller is answered for an exception; only here an HTTPException counts."""
    match error:
        case BadParameter():
            logger.info("%s was called with a bad parameter: %s; answered 400", title, error)
            return verdicts.refusal(400, str(error), error)
        case Undecodable():
            return _undecodable(title, delivery, error, 400)
        case HTTPException():
            return _http_error(error)
        case PoolFull():
            return verdicts.busy(delivery, error)
        case _:
            return verdicts.failed(title, delivery, error)


def settled(_: Delivery, outcome: Outcome) -> Outcome:
    """Say an interceptor's verdict on a binding's event: 200 would acknowledge it."""
    if outcome.http_status != HTTPStatus.OK:
        return outcome
    if outcome.status is Status.RETRY:
        return verdicts.refusal(500, "an interceptor asked for this event again", outcome.error)
    if not outcome.body:
        return structs.replace(outcome, body=verdicts.DONE.body)
    return outcome


def binding_metadata(delivery: Delivery) -> dict[str, str]:
    """Return what a component says about an event: the headers that are not the transport's."""
    return {name: value for name, value in delivery.headers if name not in _NOT_METADATA}


def _binding_event(data: Any, delivery: Delivery) -> BindingEvent[Any]:
    return BindingEvent(data, binding_metadata(delivery))


def _undecodable(title: str, delivery: Delivery, error: Undecodable, status: int) -> Outcome:
    log = logger.error if status >= 500 else logger.info  # noqa: PLR2004 - the class of server errors
    log(
        "%s cannot decode a body of %d bytes: %s; answered %d",
        title,
        len(delivery.body),
        error,
        status,
    )
    return verdicts.refusal(status, str(error), error)


def answering(options: InvokeOptions, codecs: Codecs) -> Callable[[Any], Outcome]:
    """Return what makes an answer of a result: bytes, text, a content codec's bytes, else JSON.

    None is no content for a handler with a verb and a path, and JSON's null for one with a name.
    """
    status, encode = options.status or 200, codecs.encode
    empty = options.status or (204 if options.verb else 0)
    has_contents = codecs.has_contents

    def answer(result: Any) -> Outcome:
        if isinstance(result, _NOT_JSON):
            return special(result)
        content = codecs.content_of(type(result)) if has_contents else None
        if content is None:
            return Outcome(Status.SUCCESS, status, encode(result), JSON)
        return Outcome(Status.SUCCESS, status, content.write(result), content.content_type)

    def special(result: Any) -> Outcome:
        if isinstance(result, Response):
            return _response(result)
        if isinstance(result, str):
            return Outcome(Status.SUCCESS, status, result.encode(), _TEXT)
        if result is not None:
            return Outcome(Status.SUCCESS, status, bytes(result), OCTET_STREAM)
        if empty:
            return Outcome(Status.SUCCESS, empty, b"", "")
        return Outcome(Status.SUCCESS, status, b"null", JSON)

    return answer


def error_answers(codecs: Codecs) -> Callable[[Any, int], Outcome | None]:
    """Return what makes an answer of what an error handler returned, with its status."""

    def answer(result: Any, status: int) -> Outcome | None:
        if isinstance(result, Status):  # a verdict, which nobody waits for here
            return None
        return answering(InvokeOptions("", status=status), codecs)(result)

    return answer


def _response(response: Response) -> Outcome:
    """Return what a handler made itself.

    Raises:
        TypeError: its body is not at hand, or it has work to do after it.
    """
    if not hasattr(response, "body") or response.background is not None:
        raise TypeError(
            "an invoke handler's Response has a whole body and no background task; "
            + STREAM_INSTEAD
        )
    headers = tuple((name.decode("latin-1"), text(value)) for name, value in response.raw_headers)
    return Outcome(
        http_status=response.status_code,
        body=bytes(response.body),
        content_type=next((value for name, value in headers if name == "content-type"), ""),
        headers=tuple(pair for pair in headers if pair[0] not in _MADE_ANEW),
    )


def _http_error(error: HTTPException) -> Outcome:
    answer = verdicts.refusal(error.status_code, error.detail, error)
    return Outcome(
        answer.status,
        error.status_code,
        b"" if error.status_code in _EMPTY_STATUSES else answer.body,
        JSON,
        tuple((name.lower(), str(value)) for name, value in (error.headers or {}).items()),
        error,
    )
