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
    async def invoke(
        self, endpoint: Endpoint[None, Out], data: None = None, /, **parameters: object
    ) -> Out: ...

    @overload
    async def invoke(
        self, endpoint: Endpoint[In, Out], data: In, /, **parameters: object
    ) -> Out: ...

    async def invoke(
        self, endpoint: Endpoint[Any, Out], data: Any = None, /, **parameters: object
    ) -> Out:
        """Call a method of another app, or of this one, with the endpoint's verb and path.

        Args:
            endpoint: what is called.
            data: the body; None where there is none.
            **parameters: of the path, the query and headers, by the names that the handler has for
                them: ``client.invoke(get_order, id="7", page=2)``. None leaves one out, a list
                repeats it.

        Raises:
            TypeError: a parameter is unknown, missing, or none that can be text.
            ValueError: a value cannot stand in a path or a header.
            InvocationError: the app answered with an error status, or with something that is not
                what the endpoint returns; with a ``code`` where the sidecar could not reach it.
            SidecarUnavailable: no sidecar answered.
        """
        return await invocation.invoke(self._caller, endpoint, data, parameters)
