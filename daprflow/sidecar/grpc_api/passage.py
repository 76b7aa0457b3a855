"""The way of a proxied call: to which app, with which metadata, or why it may not pass."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from daprflow.protocol.grpc_codes import Code
from daprflow.sidecar.app.postman import NO_TRACE
from daprflow.sidecar.blocks.invocation import UnknownApp
from daprflow.sidecar.channel.rpc import Metadata
from daprflow.sidecar.grpc_api.status import STATUS_CODES, Failure
from daprflow.sidecar.method_names import cleaned, problem_of
from daprflow.sidecar.telemetry.passage import Passage as WatchedPassage

if TYPE_CHECKING:
    from daprflow.sidecar.channel.grpc import GrpcChannel
    from daprflow.sidecar.runtime import Runtime

CALLEE, APP = "dapr-callee-app-id", "dapr-app-id"
_DAPR = "/dapr.proto.runtime.v1."
_OF_THE_CALL = frozenset(
    {
        APP, CALLEE, "content-type", "dapr-api-token", "dapr-caller-app-id",
        "dapr-caller-namespace", "te", "user-agent",
    }
)  # fmt: skip


class Impassable(Exception):  # noqa: N818 - named for the state of the way
    """A call cannot be passed on.

    Attributes:
        failure: how it ends.
    """

    def __init__(self, code: Code, text: str) -> None:
        super().__init__(text)
        self.failure = Failure(STATUS_CODES[code], text)


@dataclass(frozen=True, slots=True)
class Passage:
    """Where a call goes.

    Attributes:
        app_id: the app as the caller wrote it.
        remote: whether it is another app; such calls have policies.
        told: what both sidecars tell of it; None where nobody watches.
    """

    app_id: str
    method: str
    channel: "GrpcChannel"
    metadata: Metadata
    remote: bool
    told: WatchedPassage | None


async def find_passage(caller: "Runtime", method: str, metadata: Metadata) -> Passage:
    """Return the way of a call.

    Args:
        caller: the sidecar it came to.
        method: ``/service/Method``.
        metadata: as it came.

    Raises:
        Impassable: it names no app, or one that is unknown, speaks no gRPC or does not let it in.
    """
    app_id = _named(method, metadata)
    own = caller.invocation.is_own(app_id)
    if not own:
        await caller.invocation.await_arrival(app_id)
    try:
        callee = caller if own else caller.invocation.find(app_id)
    except UnknownApp as error:
        raise Impassable(Code.UNKNOWN, str(error)) from error
    if problem := problem_of(method):
        raise Impassable(Code.INVALID_ARGUMENT, f"invalid method: method contains {problem}")
    method = cleaned(method)
    if not caller.invocation.may_call(callee, "NONE", method):
        raise Impassable(
            Code.PERMISSION_DENIED,
            f"access control policy has denied access to id: {caller.app_id} "
            f"operation: {method} verb: NONE",
        )
    if callee is not caller:
        callee = await caller.invocation.reachable(callee)
    channel = None if callee.app is None else callee.app.grpc
    if channel is None:
        raise Impassable(Code.UNAVAILABLE, f"connection error: {_without_grpc(callee)}")
    remote = callee is not caller
    sent = _sent(caller, callee, metadata) if remote else _kept(metadata)
    ours, theirs = caller.telemetry, callee.telemetry
    told = None
    if remote and (ours.watching or theirs.watching):
        told = WatchedPassage(ours, theirs, caller.app_id, callee.app_id)
    return Passage(app_id, method, channel, sent, remote, told)


def _named(method: str, metadata: Metadata) -> str:
    for name in (CALLEE, APP):
        found = next((value for key, value in metadata if key == name), None)
        if found is not None:
            return found if isinstance(found, str) else found.decode("latin-1")
    if method.startswith(_DAPR):
        text = f"failed to proxy request: required metadata {CALLEE} or {APP} not found"
    else:
        text = f"cannot proxy request: missing {CALLEE} or {APP} metadata"
    raise Impassable(Code.UNKNOWN, text)


def _without_grpc(callee: "Runtime") -> str:
    if callee.app is None:
        return f"the sidecar of app '{callee.app_id}' was started without an app port"
    return (
        f"app '{callee.app_id}' speaks {callee.options.app_protocol}; "
        "start its sidecar with --app-protocol grpc to pass gRPC calls on to it"
    )


def _kept(metadata: Metadata) -> Metadata:
    """Return what of a caller's metadata the app gets; who called is never the caller's word."""
    return tuple(
        (name, value)
        for name, value in metadata
        if name not in _OF_THE_CALL and (not name.startswith("grpc-") or name == "grpc-trace-bin")
    )


def _sent(caller: "Runtime", callee: "Runtime", metadata: Metadata) -> Metadata:
    sent = (*_kept(metadata), ("dapr-caller-app-id", caller.app_id), (CALLEE, callee.app_id))
    if any(name == "traceparent" for name, _ in sent):
        return sent
    return (*sent, ("traceparent", NO_TRACE))
