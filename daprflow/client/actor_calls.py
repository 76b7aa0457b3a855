"""Calls of actors' methods: what is sent, and what is made of the answer."""

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from daprflow.actors.turn import CHAIN_HEADER, TURN
from daprflow.client.failures import succeeded
from daprflow.errors import ActorError
from daprflow.protocol import actor_calls as calls
from daprflow.protocol.actors import ERROR_HEADER, REENTRANCY_ID
from daprflow.protocol.fault import decode
from daprflow.protocol.http import Headers, HttpResponse

if TYPE_CHECKING:
    from daprflow.client.caller import Caller

_NO_HOST = "did not find address"


class ActorAddress(msgspec.Struct, frozen=True):
    """One actor."""

    kind: str
    actor_id: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.actor_id}"


class Body(msgspec.Struct, frozen=True):
    """What a method is called with; the content type is empty where that is nothing."""

    content: bytes = b""
    content_type: str = ""


async def send(caller: "Caller", actor: ActorAddress, method: str, body: Body) -> HttpResponse:
    """Call a method and return its answer.

    Raises:
        ActorError: it failed, or could not be called.
        SidecarUnavailable: no sidecar answered.
    """
    headers = _turn_headers(actor)
    if body.content_type:
        headers = (("content-type", body.content_type), *headers)
    request = calls.call(actor.kind, actor.actor_id, method, body.content, headers)
    response = await caller.exchange(request)
    if response.header(ERROR_HEADER):
        raise _own_error(actor, method, response)
    if not succeeded(response):
        raise _not_called(actor, method, response)
    return response


def result(
    caller: "Caller", response: HttpResponse, actor: ActorAddress, method: str, returns: Any
) -> Any:
    """Decode what a method answered: bytes as they are, JSON otherwise.

    Raises:
        ActorError: it is no ``returns``.
    """
    if returns is None or returns is type(None):
        return None
    if returns is bytes:
        return response.body
    what = f"the answer of {_named(actor, method)}"
    try:
        return caller.decode(response.body or b"null", returns, what)
    except (msgspec.ValidationError, RecursionError) as error:
        raise ActorError(str(error), body=response.body, status=response.status) from None


def _turn_headers(actor: ActorAddress) -> Headers:
    """Return what tells the runtime which turn a call is made in.

    Raises:
        ActorError: the called actor waits for this very call, so it could never be answered.
    """
    turn = TURN.get()
    if turn is None or turn.is_over:
        return ()
    waiting = turn.waiting
    if str(actor) in waiting:
        path = " → ".join([*waiting[waiting.index(str(actor)) :], str(actor)])
        raise ActorError(
            f"actor '{actor}' would wait for itself: {path}",
            hint="'@app.actor(reentrant=True)' lets calls come back, except into a reminder's or "
            "a timer's turn; within one actor, call the method on 'self'",
        )
    headers: Headers = ()
    if turn.reentrancy_id:
        headers = ((REENTRANCY_ID, turn.reentrancy_id),)
    if waiting:
        headers = (*headers, (CHAIN_HEADER, ",".join(quote(each, safe="") for each in waiting)))
    return headers


def _own_error(actor: ActorAddress, method: str, response: HttpResponse) -> ActorError:
    """Return the error that the method itself raised."""
    try:
        failure = msgspec.json.decode(response.body, type=calls.ActorFailure)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        failure = calls.ActorFailure()
    said = f"{failure.type}: {failure.message}" if failure.type else "see 'body' for what it said"
    return ActorError(
        f"{_named(actor, method)} failed: {said}",
        type=failure.type,
        message=failure.message,
        body=response.body,
        status=response.status,
    )


def _not_called(actor: ActorAddress, method: str, response: HttpResponse) -> ActorError:
    fault = decode(response.status, response.body)
    hint = ""
    if _NO_HOST in fault.message:
        hint = f"no app that runs hosts actors of type '{actor.kind}'; start one that does"
    return ActorError(
        f"{_named(actor, method)} could not be called: {fault.message}",
        body=response.body,
        status=response.status,
        code=fault.code,
        hint=hint,
    )


def _named(actor: ActorAddress, method: str) -> str:
    return f"method '{method}' of actor '{actor}'"
