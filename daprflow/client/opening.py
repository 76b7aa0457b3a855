"""The way to a sidecar: opened once however many callers come, and closed once."""

import asyncio
import os
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from daprflow.client.channels import Channels
from daprflow.client.circuit import Circuit
from daprflow.client.deadlines import Deadlines
from daprflow.client.event_message import MessageWatch
from daprflow.client.interception import CallNext, ClientInterceptor, composed
from daprflow.client.places import Places
from daprflow.client.pushes import Pushes
from daprflow.client.readiness import probe, wait_until_ready
from daprflow.client.retry_budget import RetryBudget
from daprflow.protocol.operations import OUTBOUND_HEALTH
from daprflow.settings import Settings
from daprflow.transports.base import GrpcSource, Transport
from daprflow.workflows.trap import refuse_in_workflow

if TYPE_CHECKING:
    from daprflow.client.subscription import Subscription
    from daprflow.health.report import HealthReport

CLIENT_IN_WORKFLOW = ("the client", "call an activity that uses it, with await ctx.call(...)")
CLOSED = "the client is closed; open it again with 'async with', a SyncClient with 'with'"


class Opening:
    """One sidecar's settings and transport; opened by the first call, or by ``open``.

    Attributes:
        transport: carries requests; None until the sidecar was found ready.
        settings: where the sidecar is; what was given, or what the environment said.
        version: the runtime's, once somebody had to ask for it.
        health: when the sidecar was last asked how it is, for which components, and the answer.
        deadlines: of the calls under way.
        pushes: what the app of this process receives; None where there is no app.
        now: the time in seconds since 1970; a test's sidecar has its own.
        interceptors: those around each call, the first one outermost.
        chain: them as one; None where there are none.
        circuit: whether the sidecar is away.
        grpc_circuit: whether its gRPC API is, which has an address of its own.
        budget: how many calls may be repeated.
        places: the calls in flight of each target.
        messages: watches the messages of streaming subscriptions; None watches none.
    """

    def __init__(self, settings: Settings | None, transport: Transport | None) -> None:
        self.transport: Transport | None = None
        self.settings: Settings = settings or Settings()
        self.version: str | None = None
        self.health: tuple[float, frozenset[str], HealthReport] | None = None
        self.deadlines: Deadlines = Deadlines()
        self.pushes: Pushes | None = None
        self.now: Callable[[], float] = time.time
        self.interceptors: tuple[ClientInterceptor, ...] = ()
        self.chain: CallNext | None = None
        self.messages: MessageWatch | None = None
        self._limit()
        self._read_environment = settings is None
        self._given = transport
        self._made: Transport | None = None
        self._task: asyncio.Task[Transport] | None = None
        self._closed = False
        self._channels: Channels | None = None

    def intercept(self, interceptors: Sequence[ClientInterceptor]) -> None:
        """Put interceptors outside those that are there; one that is there already stays.

        Raises:
            TypeError: one of them cannot be called.
        """
        known = self.interceptors
        added = tuple(new for new in interceptors if new not in known)
        self.chain = composed((*added, *known))
        self.interceptors = (*added, *known)

    def leave_out(self, interceptors: Sequence[ClientInterceptor]) -> None:
        """Take interceptors away; one that is not there is no error."""
        self.interceptors = tuple(each for each in self.interceptors if each not in interceptors)
        self.chain = composed(self.interceptors)

    @property
    def channels(self) -> Channels:
        """What is open over gRPC; made when it is first asked for.

        Raises:
            RuntimeError: the client is closed.
        """
        refuse_in_workflow(*CLIENT_IN_WORKFLOW)
        if self._closed:
            raise RuntimeError(CLOSED)
        if self._channels is None:
            self._read()
            source = self._given if isinstance(self._given, GrpcSource) else None
            self._channels = Channels(self, self.settings, source)
        return self._channels

    @property
    def subscriptions(self) -> "Iterable[Subscription[Any]]":
        """The streaming subscriptions that have begun and not ended."""
        return () if self._channels is None else self._channels.subscriptions

    @property
    def has_grpc(self) -> bool:
        """Whether calls may go over gRPC: not past a transport that somebody put in its place."""
        return self._given is None or isinstance(self._given, GrpcSource)

    @property
    def opened(self) -> bool:
        """Whether there is something to close."""
        return self.transport is not None or self._channels is not None

    async def open(self) -> None:
        """Wait for the sidecar; also after ``close``.

        Raises:
            SidecarUnavailable: it was not ready within the settings' health timeout.
        """
        self._closed = False
        if self.transport is None:
            await self.ready()

    async def prepare(self) -> None:
        """Load what the first call needs; opens nothing."""
        if self._given is None:
            await asyncio.to_thread(_http_transport)

    async def close(self) -> None:
        """Give back every connection; calls after this are refused until ``open``."""
        self._closed = True
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        self.deadlines.close()
        channels, self._channels = self._channels, None
        if channels is not None:
            await channels.close()
        made, self._made, self.transport = self._made, None, None
        await self.circuit.close()
        await self.grpc_circuit.close()
        if made is not None:
            await made.close()

    async def probe(self) -> None:
        """Ask whether the sidecar is there.

        Raises:
            SidecarUnavailable: it is not, or not ready.
        """
        transport = await self.reach()
        if self.settings.health_timeout > 0:
            await probe(transport)
        else:
            await transport.send(OUTBOUND_HEALTH)  # whoever never asks for it may not be given it

    async def reach(self) -> Transport:
        """Return the transport, whether or not the sidecar is ready."""
        if self._closed:
            raise RuntimeError(CLOSED)
        if self._made is None:
            self._read()
            self._made = self._given or await _over_http(self.settings)
        return self._made

    def seen(self) -> None:
        """Take it that the sidecar is ready, as somebody saw: no call waits for its start."""
        if self.transport is None and self._made is not None:
            self.transport, self.version = self._made, None

    async def ready(self) -> Transport:
        """Return the transport once the sidecar is ready; callers that come together wait once."""
        if self._closed:
            raise RuntimeError(CLOSED)
        if self._task is None:
            self._task = asyncio.create_task(self._open(), name="daprflow client opens")
            self._task.add_done_callback(self._opened)
        opening = self._task
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if opening.cancelled() and task is not None and not task.cancelling():
                # close() ended the wait; who waits was not cancelled and must not look so.
                raise RuntimeError(CLOSED) from None
            raise

    def _read(self) -> None:
        """Read the environment, unless settings were given."""
        if self._read_environment and (found := Settings.from_env(os.environ)) != self.settings:
            self.settings = found
            self._limit()

    def _limit(self) -> None:
        """Make what limits calls, as the settings say."""
        known = self.settings
        self.circuit: Circuit = Circuit(known.circuit_failures)
        self.grpc_circuit: Circuit = Circuit(known.circuit_failures)
        self.budget: RetryBudget = RetryBudget(known.retry_share)
        self.places: Places = Places(
            known.calls_per_target, known.calls_waiting, known.target_calls
        )

    def _opened(self, task: asyncio.Task[Transport]) -> None:
        if self._task is task:
            self._task = None
        if not task.cancelled():
            task.exception()  # every caller may have been cancelled; then nobody else asks

    async def _open(self) -> Transport:
        transport = await self.reach()
        try:
            await wait_until_ready(transport, self.settings.health_timeout)
        except BaseException:
            self._made = None  # the environment is read anew
            await transport.close()
            raise
        self.transport = transport
        self.version = None
        return transport

    def __del__(self) -> None:
        if getattr(self, "_made", None) is not None:
            warnings.warn(
                "a daprflow Client was dropped while it was open; use 'async with' or 'close()'",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )


async def _over_http(settings: Settings) -> Transport:
    # In a thread: on the loop it would hold up every other request for a tenth of a second.
    make = await asyncio.to_thread(_http_transport)
    return make(settings)


def _http_transport() -> Callable[[Settings], Transport]:
    from daprflow.transports.http import HttpTransport  # noqa: PLC0415 - aiohttp is not for everybody

    return HttpTransport
