"""The gRPC channels of one client: opened when they are first asked for, closed with it."""

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import replace
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from daprflow.errors import SidecarUnavailable
from daprflow.settings import Settings, SettingsError
from daprflow.transports.base import GrpcSource
from daprflow.transports.grpc_endpoint import FORMS, EndpointError, GrpcEndpoint, parse

if TYPE_CHECKING:
    from daprflow.client.opening import Opening
    from daprflow.client.subscription import Subscription
    from daprflow.transports.grpc import Channel

NO_LOOP = (
    "a gRPC channel is made in a running event loop, and here is none; ask for it in an 'async def'"
)
ANOTHER_LOOP = (
    "this client has gRPC channels in another event loop; close it there, or make one client per "
    "loop"
)

CONNECTING = 0.2
"""Seconds that a probe waits for a connection; it goes on being made after that."""

_LIBRARY = "daprflow.transports.grpc"


class Channels:
    """Opens channels to one sidecar and keeps them."""

    def __init__(self, way: "Opening", settings: Settings, source: GrpcSource | None) -> None:
        self._way = way
        self._settings = settings
        self._source = source
        self._own: Channel | None = None
        self._work: Channel | None = None
        self._apps: dict[str, Channel] = {}
        self._subscriptions: WeakSet[Subscription[Any]] = WeakSet()
        self._reached = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loaded: dict[str, ModuleType] = {}
        self._beside: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        """Where the gRPC API is, for messages."""
        if self._source is not None:
            return self._source.grpc_address()
        return self._settings.grpc_endpoint

    @property
    def token(self) -> str:
        """What the sidecar asks for; empty where that is nothing."""
        return self._settings.api_token

    def to_app(self, app_id: str) -> "Channel":
        """Return the channel whose calls go to an app; the same one each time."""
        grpc = _library()
        self._stay_in_loop()
        known = self._apps.get(app_id)
        if known is not None and not grpc.is_closed(known):
            return known

        async def ready() -> None:
            try:
                await self._ready(opened)
            except SidecarUnavailable as error:
                raise grpc.unavailable(str(error)) from error

        from daprflow.client.stubs import Stubs  # noqa: PLC0415 - it needs this module

        stubs = Stubs(self._way, app_id, grpc)
        interceptors = grpc.through(app_id, self._settings, ready, stubs.call, stubs.open)
        opened: Channel = grpc.open_channel(self._endpoint(), self._settings, interceptors)
        self._apps[app_id] = opened
        return opened

    async def load(self, name: str) -> Any:
        """Return a module that needs gRPC; it takes a third of a second once, in a thread."""
        module = self._loaded.get(name)
        if module is None:
            module = self._loaded[name] = await asyncio.to_thread(_load, name)
        return module

    async def to_sidecar(self, component: str, block: str) -> "Channel":
        """Return the channel of Dapr's own methods, once the sidecar is there.

        Args:
            component: what is going to be used.
            block: its building block, ``publish`` or ``state``.

        Raises:
            SidecarUnavailable: it was not ready within the settings' health timeout.
        """
        grpc = await self.load(_LIBRARY)
        self._stay_in_loop()
        if self._own is None or grpc.is_closed(self._own):
            self._own = grpc.open_channel(self._endpoint(), self._settings)
        await self._ready(self._own, component, block)
        return self._own

    async def to_work(self) -> "Channel":
        """Return the channel of a worker of workflows, once the sidecar is there.

        It takes longer messages than others: a history that did not fit would end the stream of
        all workflows, again and again.

        Raises:
            SidecarUnavailable: it was not ready within the settings' health timeout.
        """
        grpc = await self.load(_LIBRARY)
        self._stay_in_loop()
        if self._work is None or grpc.is_closed(self._work):
            longest = max(self._settings.grpc_max_message_size, grpc.SENT)
            settings = replace(self._settings, grpc_max_message_size=longest)
            self._work = grpc.open_channel(self._endpoint(), settings)
        await self._ready(self._work, "", "workflows")
        return self._work

    def connected(self, app_id: str = "") -> bool:
        """Tell whether there is a connection: to an app, or for Dapr's own methods."""
        channel = self._apps.get(app_id) if app_id else self._own
        return channel is not None and _library().is_connected(channel)

    async def probe(self, app_id: str = "") -> None:
        """Ask whether the gRPC API is there; see ``connected``.

        Raises:
            SidecarUnavailable: it is not, or the sidecar is not ready.
        """
        if self._settings.health_timeout > 0:
            await self._way.probe()
        channel = self._apps.get(app_id) if app_id else self._own
        if channel is None or _library().is_closed(channel):
            return  # whoever calls opens another one
        await self._reach(channel, CONNECTING, "takes no connection")

    def beside(self, work: Coroutine[Any, Any, None]) -> "Callable[[], object]":
        """Run what follows a stream beside its user; return what cancels it.

        It ends with the stream.
        """
        task = asyncio.get_running_loop().create_task(work, name="daprflow client stream")
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)
        return task.cancel

    def keep(self, subscription: "Subscription[Any]") -> None:
        """Have a subscription closed with the client, should nobody close it before."""
        self._subscriptions.add(subscription)

    @property
    def subscriptions(self) -> "Iterable[Subscription[Any]]":
        """Those that have begun and not ended."""
        return [each for each in self._subscriptions if not each.closed]

    async def close(self) -> None:
        """Close every channel, and with it the calls under way; verdicts are still sent."""
        await asyncio.gather(*(subscription.close() for subscription in self._subscriptions))
        channels = list(self._apps.values())
        channels += [each for each in (self._own, self._work) if each is not None]
        self._apps.clear()
        self._own = self._work = None
        for channel in channels:
            await channel.close()
        if self._beside:
            await asyncio.wait(self._beside)

    async def _ready(self, channel: "Channel", component: str = "", block: str = "") -> None:
        """Wait for the sidecar, and before the first call for its gRPC side, which starts later.

        Raises:
            SidecarUnavailable: one of them did not come in time.
        """
        if self._way.transport is None:
            await self._way.ready()
        if self._source is not None:
            await self._source.start_grpc(component, block)
        seconds = self._settings.health_timeout
        if self._reached or seconds <= 0:
            return
        await self._reach(
            channel,
            seconds,
            f"could not be reached within {seconds:g} s (DAPR_HEALTH_TIMEOUT); "
            "see DAPR_GRPC_ENDPOINT and DAPR_GRPC_PORT",
        )
        self._reached = True

    async def _reach(self, channel: "Channel", seconds: float, otherwise: str) -> None:
        """Wait until a channel is connected.

        Raises:
            SidecarUnavailable: it was not in so many seconds; ``otherwise`` says what that means.
        """
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                await _library().reach(channel)
        except TimeoutError:
            if not limit.expired():
                raise
            text = f"the sidecar's gRPC API at {self.address} {otherwise}"
            raise SidecarUnavailable(text) from None

    def _endpoint(self) -> GrpcEndpoint:
        """Read the address.

        Raises:
            SettingsError: it is none.
        """
        try:
            return parse(self.address)
        except EndpointError as error:
            raise SettingsError(
                f"the sidecar's gRPC address {self.address!r} (environment variable "
                f"'DAPR_GRPC_ENDPOINT') cannot be used: {error}; write it as {FORMS}"
            ) from None

    def _stay_in_loop(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise RuntimeError(NO_LOOP) from None
        opened = self._apps or self._own is not None or self._work is not None
        if self._loop is not loop and opened:
            raise RuntimeError(ANOTHER_LOOP)
        self._loop = loop


def _library() -> Any:
    return _load(_LIBRARY)


def _load(name: str) -> ModuleType:
    """Load what needs gRPC; it is told to be quiet before it is loaded, unless somebody told it."""
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    return import_module(name)
