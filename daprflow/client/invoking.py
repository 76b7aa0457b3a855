"""Service invocation: the client's methods for it."""

from typing import TYPE_CHECKING, Any, TypeVar, overload

from daprflow.addresses import Endpoint
from daprflow.client import invocation
from daprflow.client.base import BaseClient

if TYPE_CHECKING:
    from daprflow.transports.grpc import Channel

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

        Example:
            ```python
            total = await client.invoke(price, Order("7"))
            ```
        """
        return await invocation.invoke(self._caller, endpoint, data, parameters)

    def grpc_channel(self, app_id: str, /) -> "Channel":
        """Return a ``grpc.aio.Channel`` whose calls go through the sidecar to an app.

        For stubs that were generated from a service's own ``.proto``:
        ``GreeterStub(client.grpc_channel("greeter"))``. All four kinds of calls work, with metadata
        and trailers; each carries ``dapr-app-id``, the sidecar's token and the trace of the
        delivery that is being handled. The first call waits for the sidecar. Calls pass the
        client's interceptors, count for its circuit breaker, and have places among the calls of
        their app, streams while they are opened: one too many raises `TooManyCalls`.

        It is asked for in a running event loop, is the same one each time, and is closed with the
        client. Errors are gRPC's own (`grpc.aio.AioRpcError`; ``UNAVAILABLE`` where no sidecar
        came), and so are deadlines: the client's timeout does not hold here, so give each call its
        ``timeout``.

        Args:
            app_id: the app, or ``app.namespace``.

        Raises:
            SettingsError: the sidecar's gRPC address cannot be used.
            RuntimeError: the client is closed, or no event loop runs.
            ValueError: ``app_id`` is empty.

        Example:
            ```python
            async with client.grpc_channel("pricing") as channel:
                print(channel.get_state())  # give it to generated stubs
            ```
        """
        if not app_id:
            raise ValueError("the app id is empty; name the app that is called")
        return self._caller.way.channels.to_app(app_id)
