"""What every client has: the way to its sidecar, opened by the first call and closed once."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from daprflow.client.caller import Caller, CallOptions
from daprflow.client.channels import Channels
from daprflow.client.circuit import CircuitState
from daprflow.client.interception import ClientInterceptor
from daprflow.client.places import TargetLoad
from daprflow.client.retry_budget import RetryState
from daprflow.durations import seconds
from daprflow.handlers.codecs import NO_CODECS, Codecs
from daprflow.settings import Settings
from daprflow.transports.base import Transport

if TYPE_CHECKING:
    from daprflow.client.subscription import Subscription


class BaseClient:
    """Opens and closes the way to one sidecar; the building blocks are mixed in."""

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        transport: Transport | None = None,
        codecs: Codecs = NO_CODECS,
        interceptors: Sequence[ClientInterceptor] = (),
    ) -> None:
        self._caller = Caller(settings, transport, codecs)
        self._caller.way.intercept(interceptors)

    @property
    def interceptors(self) -> tuple[ClientInterceptor, ...]:
        """What is around each call, the outermost first."""
        return self._caller.way.interceptors

    def add_interceptors(self, *interceptors: ClientInterceptor) -> None:
        """Put interceptors outside those that are there; one that is there already stays.

        They hold for this client and for those that share its connections.

        Raises:
            TypeError: one of them cannot be called.

        Example:
            ```python
            async def timed(call: ClientCall, go_on: CallNext) -> ClientResponse:
                return await go_on(call.with_headers(("x-tenant", "blue")))

            client.add_interceptors(timed)
            ```
        """
        self._caller.way.intercept(interceptors)

    def remove_interceptors(self, *interceptors: ClientInterceptor) -> None:
        """Take away interceptors that were added; one that is not there is no error.

        Example:
            ```python
            header = CorrelationHeader()
            client.add_interceptors(header)
            client.remove_interceptors(header)
            ```
        """
        self._caller.way.leave_out(interceptors)

    def with_options(
        self, *, timeout: timedelta | float | None = None, max_attempts: int | None = None
    ) -> Self:
        """Return this client with other limits for its calls.

        Both share their connections: closing one closes the other.

        Args:
            timeout: how long a call may take, in seconds or as a timedelta, its repetitions
                included; of what is streamed, each piece. None leaves it as it is.
            max_attempts: how often a call that may be repeated is tried while connections fail;
                1 means once, -1 until the time is up.

        Raises:
            ValueError: ``timeout`` is not above 0.

        Example:
            ```python
            quick = client.with_options(timeout=0.5, max_attempts=1)
            total = await quick.invoke(price, Order("7"))
            ```
        """
        limit = None if timeout is None else seconds(timeout)
        if limit is not None and limit <= 0:
            raise ValueError(f"a timeout of {limit:g} s leaves no time for a call")
        other = object.__new__(type(self))
        other._caller = self._caller.with_options(CallOptions(limit, max_attempts))
        return other

    @property
    def circuit(self) -> CircuitState:
        """Whether calls over HTTP fail at once because the sidecar is away, and since when."""
        return self._caller.way.circuit.state

    @property
    def grpc_circuit(self) -> CircuitState:
        """The same for calls over gRPC, which go to another address and may fail alone."""
        return self._caller.way.grpc_circuit.state

    @property
    def retries(self) -> RetryState:
        """How many calls were repeated, and how many more may be now."""
        return self._caller.way.budget.state

    @property
    def loads(self) -> tuple[TargetLoad, ...]:
        """The calls under way of each app, actor type and component, and those that wait."""
        return tuple(self._caller.way.places.loads())

    @property
    def channels(self) -> Channels:
        """What is open over gRPC, for what the app does besides its handlers."""
        return self._caller.way.channels

    @property
    def subscriptions(self) -> "Iterable[Subscription[Any]]":
        """The streaming subscriptions that have begun and not ended."""
        return self._caller.way.subscriptions

    async def open(self) -> None:
        """Wait for the sidecar now; a closed client can be opened again.

        Raises:
            SidecarUnavailable: it was not ready within the settings' health timeout.

        Example:
            ```python
            client = Client()
            await client.open()  # SidecarUnavailable after DAPR_HEALTH_TIMEOUT
            ```
        """
        await self._caller.open()

    async def prepare(self) -> None:
        """Load what the first call needs, so that it need not; no connection is opened.

        Example:
            ```python
            client = Client()
            await client.prepare()
            ```
        """
        await self._caller.prepare()

    async def close(self) -> None:
        """Give back every connection; later calls are refused.

        Example:
            ```python
            client = Client()
            try:
                await client.publish(orders, Order("7"))
            finally:
                await client.close()
            ```
        """
        await self._caller.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
