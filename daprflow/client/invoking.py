"""Service invocation: the client's methods for it."""

from typing import Any, TypeVar, overload

from daprflow.addresses import Endpoint
from daprflow.client import invocation
from daprflow.client.base import BaseClient

In = TypeVar("In")
Out = TypeVar("Out")


class Invoking(BaseClient):
    """The part of the client that calls methods of apps."""

    @overload
    async def invoke(self, endpoint: Endpoint[None, Out], data: None = None, /) -> Out: ...

    @overload
    async def invoke(self, endpoint: Endpoint[In, Out], data: In, /) -> Out: ...

    async def invoke(self, endpoint: Endpoint[Any, Out], data: Any = None, /) -> Out:
        """Call a method of another app, or of this one, with ``POST``.

        Raises:
            InvocationError: the app answered with an error status, or with something that is not
                what the endpoint returns; with a ``code`` where the sidecar could not reach it.
            SidecarUnavailable: no sidecar answered.
        """
        return await invocation.invoke(self._caller, endpoint, data)
