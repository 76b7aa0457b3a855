"""Output bindings."""

from collections.abc import Mapping
from typing import Any, Generic, TypeVar, cast

import msgspec

from daprflow.client import failures
from daprflow.client.caller import Caller
from daprflow.protocol import operations
from daprflow.protocol.http import HttpResponse
from daprflow.protocol.operations import BindingCall

T = TypeVar("T")

_METADATA = "metadata."


class BindingAnswer(msgspec.Struct, Generic[T], frozen=True):
    """What an output binding answered.

    Attributes:
        data: decoded to the type that was asked for.
        metadata: what the component says about it, such as ``statusCode`` of ``bindings.http``;
            names are lower-case, as they travel in headers.

    Example:
        ```python
        answer = await client.bind("db", "query", metadata={"sql": "select 1"}, returns=list[Any])
        print(answer.data, answer.metadata)
        ```
    """

    data: T
    metadata: Mapping[str, str]


async def call(
    caller: Caller, name: str, operation: str, data: object, metadata: Mapping[str, str] | None
) -> HttpResponse:
    """Have the binding ``name`` do ``operation`` and return what it answered."""
    body = BindingCall(
        operation=operation,
        data=msgspec.UNSET if data is None else msgspec.Raw(caller.codecs.encode(data)),
        metadata=dict(metadata) if metadata else None,
    )
    return await caller.call(operations.call_binding(name, body))


def answer(caller: Caller, name: str, response: HttpResponse, returns: type[T]) -> BindingAnswer[T]:
    """Return the typed answer of the binding ``name``.

    Raises:
        SidecarError: it is something else; the text says why, without the value.
    """
    metadata = {
        key.removeprefix(_METADATA): value
        for key, value in response.headers
        if key.startswith(_METADATA)
    }
    wanted: Any = returns
    if wanted is bytes:
        return BindingAnswer(cast("T", response.body), metadata)
    if wanted is type(None) or wanted is None:
        return BindingAnswer(cast("T", None), metadata)
    try:
        if wanted is str:
            return BindingAnswer(cast("T", response.body.decode()), metadata)
        what = f"the answer of binding '{name}'"
        return BindingAnswer(caller.decode(response.body or b"null", returns, what), metadata)
    except (msgspec.ValidationError, UnicodeDecodeError) as error:
        reason = error.reason if isinstance(error, UnicodeDecodeError) else str(error)
        raise failures.unexpected(response, reason) from None
