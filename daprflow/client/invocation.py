"""Calls of other apps' methods."""

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from daprflow.addresses import Endpoint
from daprflow.client import payload
from daprflow.client.caller import Caller
from daprflow.client.failures import succeeded
from daprflow.errors import InvocationError
from daprflow.protocol import operations
from daprflow.protocol.fault import decode
from daprflow.protocol.http import JSON, HttpResponse

In = TypeVar("In")
Out = TypeVar("Out")

NO_CONTENT = 204


async def invoke(
    caller: Caller, endpoint: Endpoint[In, Out], data: In, parameters: Mapping[str, object]
) -> Out:
    """Send ``data`` to ``endpoint`` and return its typed answer.

    Raises:
        InvocationError: the app answered with an error, or with something else than it should; or
            the sidecar could not reach it, then with a code.
        SidecarUnavailable: no sidecar answered.
    """
    call = caller.call_of(endpoint)
    if call.is_plain and not parameters:
        sent = payload.Payload(b"", "")
        if data is not None:
            sent = payload.encode(data, None, caller.codecs)
        request = operations.invoke(
            endpoint.app_id, endpoint.method, sent.body, sent.content_type, endpoint.verb
        )
    else:
        from daprflow.client import addressing  # noqa: PLC0415 - loaded by the line above the first time

        request = addressing.request(call, data, parameters, caller.codecs)
    response = await caller.exchange(request)
    if not succeeded(response):
        raise _failure(endpoint, response)
    return _answer(caller, endpoint, response)


def _answer(caller: Caller, endpoint: Endpoint[Any, Out], response: HttpResponse) -> Out:
    """Decode an answer: text and bytes as they are, JSON otherwise."""
    returns: Any = endpoint.returns
    if returns is None or returns is type(None):
        return cast("Out", None)
    if returns is bytes:
        return cast("Out", response.body)
    content = caller.codecs.content_of(returns)
    try:
        if content is not None and response.header("content-type") != JSON:
            return cast("Out", content.read(response.body, returns))
        if returns is str and not response.header("content-type").startswith("application/json"):
            return cast("Out", response.body.decode())
        body = response.body or (b"null" if response.status == NO_CONTENT else b"")
        return caller.decode(body, endpoint.returns, f"the answer of {_named(endpoint)}")
    except ValueError as error:  # msgspec's are, and those of codecs; none has a value in its text
        reason = error.reason if isinstance(error, UnicodeDecodeError) else error
        raise InvocationError(str(reason), status=response.status, body=response.body) from None


def _failure(endpoint: Endpoint[Any, Any], response: HttpResponse) -> InvocationError:
    """Return the error of an app, or of a sidecar that did not reach it."""
    fault = decode(response.status, response.body)
    what = fault.message if fault.code else "see 'body' for what it said"
    return InvocationError(
        f"{_named(endpoint)} answered with status {response.status}: {what}",
        status=response.status,
        body=response.body,
        code=fault.code,
    )


def _named(endpoint: Endpoint[Any, Any]) -> str:
    return f"method '{endpoint.address}' of app '{endpoint.app_id}'"
