"""Probes an app's health and tells when it turned."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from daprflow.sidecar.app.base import App
from daprflow.sidecar.clock import Clock, sleep_until
from daprflow.sidecar.options import RuntimeOptions

logger = logging.getLogger(__name__)

Turn = Callable[[], Awaitable[None]]


class AppHealth:
    """Probes in intervals: ``GET {app_health_check_path}``, or ``HealthCheck`` of a gRPC app.

    The app starts unhealthy and one success makes it healthy. As in the real runtime, failures
    count from the last turn to healthy: a success in between does not forget them.

    Args:
        app: whose health it is; probes carry no token and pass its concurrency limit by.
        clock: the engine's.
        options: path, interval, timeout and threshold.
        healthy: called when the app became healthy.
        unhealthy: called when it no longer is.
    """

    def __init__(
        self,
        app: App,
        clock: Clock,
        options: RuntimeOptions,
        *,
        healthy: Turn,
        unhealthy: Turn,
    ) -> None:
        self.healthy = False
        self._app = app
        self._clock = clock
        self._interval = options.app_health_probe_interval
        self._timeout = min(options.app_health_probe_timeout, self._interval)
        self._threshold = max(1, options.app_health_threshold)
        self._target = "/" + options.app_health_check_path.lstrip("/")
        self._on_healthy = healthy
        self._on_unhealthy = unhealthy
        self._failures = 0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to probe, at once."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Stop probing."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        while True:
            started = self._clock.now()
            succeeded = await self._probe()
            try:
                await self._note(succeeded=succeeded)
            except Exception:
                logger.exception("what follows a turn of the app's health failed; probing goes on")
            await sleep_until(self._clock, started + self._interval)

    async def _probe(self) -> bool:
        try:
            async with asyncio.timeout(self._timeout):
                return await self._app.healthy(self._target)
        except TimeoutError:
            return False

    async def _note(self, *, succeeded: bool) -> None:
        if succeeded:
            if not self.healthy:
                self.healthy = True
                self._failures = 0
                logger.info("the app is healthy")
                await self._on_healthy()
            return
        self._failures += 1
        if self.healthy and self._failures >= self._threshold:
            self.healthy = False
            logger.warning(
                "the app is not healthy (%d failed probes); deliveries wait", self._failures
            )
            await self._on_unhealthy()
