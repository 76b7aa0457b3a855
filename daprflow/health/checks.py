"""What is asked when an app is looked at: its sidecar with the components, and its providers."""

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from daprflow.addresses import type_name
from daprflow.client.component_health import SIDECAR, sidecar_health
from daprflow.health.names import is_async, takes_nothing
from daprflow.health.report import HealthStatus, PartHealth

if TYPE_CHECKING:
    from daprflow.client.client import Client

logger = logging.getLogger(__name__)

Check = Callable[[], Awaitable[tuple[PartHealth, ...]]]
"""Asks something, and says how it is; it raises nothing and ends in its time."""


def sidecar_check(client: "Client", seconds: float, wanted: Collection[str]) -> Check:
    """Return the check of an app's sidecar."""

    async def check() -> tuple[PartHealth, ...]:
        way = client._caller.way  # noqa: SLF001 - a part of the client
        parts = await sidecar_health(await way.reach(), seconds, wanted)
        if any(each.part == SIDECAR and each.status is HealthStatus.READY for each in parts):
            way.seen()
        return parts

    return check


def ping_checks(values: Mapping[Any, Any], seconds: float) -> list[Check]:
    """Return a check of each value that has a ``ping`` which can be called with nothing."""
    found: list[Check] = []
    for made, value in values.items():
        ping = getattr(value, "ping", None)
        if callable(ping) and takes_nothing(ping):
            found.append(Ping(type_name(made), ping, seconds).check)
    return found


class Ping:
    """Calls one ``ping``, in a thread of its own where it is a plain function.

    It fails when it raises, when it returns False, and when it does not end in time. One that has
    not ended is not called a second time.

    Args:
        name: of the provider's type.
        ping: the method.
        seconds: how long it may take.
    """

    def __init__(self, name: str, ping: Callable[[], Any], seconds: float) -> None:
        self._name = name
        self._ping = ping
        self._seconds = seconds
        self._call: asyncio.Future[Any] | None = None
        self._begun = 0.0

    async def check(self) -> tuple[PartHealth, ...]:
        """Say how the provider is."""
        reason = await self._reason()
        status = HealthStatus.DEGRADED if reason else HealthStatus.READY
        return (PartHealth("provider", self._name, status, reason),)

    async def _reason(self) -> str:
        if self._call is None:
            self._begun = time.monotonic()
            self._call = asyncio.ensure_future(self._result())
        call = self._call
        done, _ = await asyncio.wait({call}, timeout=self._seconds)
        if not done:
            if is_async(self._ping):
                call.cancel()
                self._call = None
            return f"its 'ping' has not ended for {time.monotonic() - self._begun:.1f} s"
        self._call = None
        if call.cancelled():
            return "its 'ping' was cancelled"
        error = call.exception()
        if error is not None:
            logger.debug("'ping' of %s failed", self._name, exc_info=error)
            return f"its 'ping' raised {type(error).__name__}"
        return "its 'ping' returned False" if call.result() is False else ""

    async def _result(self) -> Any:
        if is_async(self._ping):
            return await self._ping()
        result = await _in_thread(self._ping)
        return await result if isinstance(result, Awaitable) else result


def _in_thread(function: Callable[[], Any]) -> asyncio.Future[Any]:
    """Call a function in a thread that holds up neither handlers nor the end of the process."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()

    def settle(result: Any, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def run() -> None:
        result: Any = None
        error: Exception | None = None
        try:
            result = function()
        except StopIteration as raised:
            error = RuntimeError(f"a ping raised {raised!r}")
        except Exception as raised:  # noqa: BLE001 - whatever it is, it is the answer
            error = raised
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name="daprflow-ping", daemon=True).start()
    return future
