"""Compiled binding and invoke handlers: a request's body in, an answer out."""

import logging
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException

from daprflow.errors import Drop, Retry
from daprflow.handlers import codec, verdicts
from daprflow.handlers.calling import Call
from daprflow.handlers.decoding import BodyDecoder, Undecodable
from daprflow.handlers.envelopes import BindingEvent
from daprflow.handlers.handler import Delivery, Next, Outcome
from daprflow.handlers.pool import PoolFull
from daprflow.protocol.deliveries import Status
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
_EMPTY_STATUSES = frozenset({204, 304})


def binding(call: Call, decoder: BodyDecoder | None, title: str, *, envelope: bool) -> Next:
    """Return a handler of binding events; ``decoder`` is None where it takes no payload."""

    async def handle(delivery: Delivery) -> Outcome:
        try:
            if decoder is None:
                await call(delivery)
            else:
                data = decoder.decode(delivery.body)
                await call(delivery, _binding_event(data, delivery) if envelope else data)
        except Undecodable as error:
            return _undecodable(title, delivery, error, 500)
        except Retry as error:
            return verdicts.refusal(500, "the handler asked for this event again", error)
        except Drop as error:
            return Outcome(Status.DROP, 200, verdicts.DONE.body, error=error)
        except PoolFull as error:
            return verdicts.busy(delivery, error)
        except verdicts.FAULTS as error:
            return verdicts.failed(title, delivery, error)
        return verdicts.DONE

    return handle


def invocation(call: Call, decoder: BodyDecoder | None, title: str) -> Next:
    """Return a handler of service invocations; only here an HTTPException keeps its status."""

    async def handle(delivery: Delivery) -> Outcome:
        try:
            if decoder is None:
                result = await call(delivery)
            else:
                result = await call(delivery, decoder.decode(delivery.body))
            return _answer(result)
        except Undecodable as error:
            return _undecodable(title, delivery, error, 400)
        except HTTPException as error:
            return _http_error(error)
        except PoolFull as error:
            return verdicts.busy(delivery, error)
        except verdicts.FAULTS as error:
            return verdicts.failed(title, delivery, error)

    return handle


def settled(_: Delivery, outcome: Outcome) -> Outcome:
    """Say an interceptor's verdict on a binding's event: 200 would acknowledge it."""
    if outcome.status is Status.RETRY and outcome.http_status == HTTPStatus.OK:
        return verdicts.refusal(500, "an interceptor asked for this event again", outcome.error)
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


def _answer(result: Any) -> Outcome:
    if isinstance(result, bytes | bytearray | memoryview):
        return Outcome(body=bytes(result), content_type="application/octet-stream")
    if isinstance(result, str):
        return Outcome(body=result.encode(), content_type="text/plain; charset=utf-8")
    return Outcome(body=codec.encode(result), content_type=JSON)


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
