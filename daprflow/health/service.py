"""How an app is, as it runs: looked at again and again once somebody wants to know."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from contextvars import Context
from dataclasses import replace
from types import CodeType
from typing import TYPE_CHECKING

from daprflow.health.names import is_async
from daprflow.health.options import HealthSettings
from daprflow.health.report import (
    HealthChange,
    HealthReport,
    HealthStatus,
    PartHealth,
    body_of,
    summed,
)
from daprflow.observability.loop_watchdog import LoopWatchdog

if TYPE_CHECKING:
    from daprflow.health.checks import Check

logger = logging.getLogger(__name__)

HealthListener = Callable[[HealthChange], Awaitable[None] | None]
Parts = Callable[[], Iterable[PartHealth]]

FIRST = 0.5
"""Seconds that the first probe waits for the first look at everything."""
_LEVELS = {
    HealthStatus.READY: logging.INFO,
    HealthStatus.DEGRADED: logging.WARNING,
    HealthStatus.DOWN: logging.ERROR,
}
_LOOKING = PartHealth(
    "app", "checks", HealthStatus.DOWN, "it is being looked at for the first time"
)
_STARTING = PartHealth("app", "lifespan", HealthStatus.DOWN, "it has not started")
_STOPPING = PartHealth("app", "lifespan", HealthStatus.DOWN, "it is stopping")


class AppHealth:
    """How one app is.

    Nothing is asked before the first ``/readyz``, the first `watch`, or where a listener was added:
    an app that nobody asks costs its sidecar nothing.

    Args:
        settings: None reads the environment when the app starts.
        on_stop: called when the app is told to stop.

    Attributes:
        alerts: how often the status became each.
        stopping: whether the app was told to stop.
        watchdog: knows how late the event loop is, and who blocked it.
    """

    def __init__(self, settings: HealthSettings | None, on_stop: Callable[[], None]) -> None:
        self.given = settings
        self.settings: HealthSettings = settings or HealthSettings()
        self.alerts: dict[HealthStatus, int] = dict.fromkeys(HealthStatus, 0)
        self.stopping: bool = False
        self._listeners: list[HealthListener] = []
        self.watchdog: LoopWatchdog = LoopWatchdog({}, 0)
        self._checks: Sequence[Check] = ()
        self._live: Parts | None = None
        self._found: tuple[PartHealth, ...] = ()
        self._looked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._turns: list[asyncio.Lock] = []
        self._telling: set[asyncio.Task[None]] = set()
        self._status: HealthStatus | None = None
        self._patience = 0.0
        self._watches_loop = True
        self._on_stop = on_stop

    @property
    def sidecar_reachable(self) -> bool | None:
        """Whether the sidecar was, when it was last asked; None where it was not asked yet."""
        found = [each for each in self._found if each.part == "sidecar"]
        return found[0].status is not HealthStatus.DOWN if found else None

    # ---- what an app calls

    def configure(self, env: Mapping[str, str]) -> None:
        """Read the environment, unless settings were given.

        Raises:
            SettingsError: a variable holds something that cannot be used.
        """
        if self.given is None:
            self.settings = HealthSettings.from_env(env)
        if not self._watches_loop:
            self.settings = replace(self.settings, blocked_after=0.0)

    def watch_no_loop(self) -> None:
        """Watch no event loop, whatever the settings say: a debugger stops it at will."""
        self._watches_loop = False

    def listen(self, listener: HealthListener) -> None:
        """Have a function called with each change of the status."""
        self._listeners.append(listener)
        self._turns.append(asyncio.Lock())
        self.watch()

    @asynccontextmanager
    async def live(
        self,
        names: Mapping[CodeType, str],
        checks: Sequence["Check"],
        parts: Parts,
        patience: float,
    ) -> AsyncIterator[None]:
        """Look after an app that has started.

        Args:
            names: how messages call its handlers.
            checks: what is asked.
            parts: says what is known without asking.
            patience: seconds in which an app that was not ready yet is no reason to alarm anybody.
        """
        self._checks, self._live = checks, parts
        self.stopping, self._status = False, None
        self._found, self._looked = (), asyncio.Event()
        self._turns = [asyncio.Lock() for _ in self._listeners]
        self._patience = time.monotonic() + patience
        self.watchdog.names, self.watchdog.threshold = names, self.settings.blocked_after
        self.watchdog.start()
        if self._listeners:
            self.watch()
        try:
            yield
        finally:
            self._live = None
            self.watchdog.stop()
            tasks = {*self._telling, *([self._task] if self._task is not None else [])}
            self._task = None
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)

    def watch(self) -> None:
        """Look at everything from now on, every few seconds, until the app ends."""
        if self._task is None and self._live is not None:
            # Not in the context of the request that may have asked: its trace ends before.
            running = asyncio.get_running_loop()
            self._task = running.create_task(
                self._look_always(), name="daprflow health", context=Context()
            )

    def report(self) -> HealthReport:
        """Return how the app is, as far as that is known; asks nobody."""
        if self.stopping:
            return summed([_STOPPING])
        if self._live is None:
            return summed([_STARTING])
        found = self._found if self._looked.is_set() else (_LOOKING,)
        return summed([*self._live(), *self._loop(), *found])

    async def check(self) -> HealthReport:
        """Ask everything now, and return how the app is."""
        found = await asyncio.gather(*(check() for check in self._checks))
        self._found = tuple(part for parts in found for part in parts)
        self._looked.set()
        report = self.report()
        self._note(report)
        return report

    async def answer(self) -> tuple[int, bytes]:
        """Return what ``/readyz`` answers; only the first one waits, for half a second at most."""
        if self._live is not None and not self.stopping:
            self.watch()
            if not self._looked.is_set():
                try:
                    async with asyncio.timeout(FIRST):
                        await self._looked.wait()
                except TimeoutError:
                    pass  # the report says so
        report = self.report()
        self._note(report)
        return 503 if report.status is HealthStatus.DOWN else 200, body_of(report)

    async def alive(self) -> tuple[int, bytes]:
        """Return what ``/healthz`` answers: an event loop that stands still says nothing."""
        return 200, b'{"status":"ok"}'

    def stop(self) -> None:
        """Have the app stop: it refuses deliveries from now on."""
        self.stopping = True
        self._on_stop()

    async def drain(self) -> None:
        """Have the app stop, and return when its server may close."""
        self.stop()
        if self.settings.drain > 0 and self._live is not None:
            logger.info(
                "the app stops: it refuses deliveries for %g s, then closes", self.settings.drain
            )
            await asyncio.sleep(self.settings.drain)

    # ---- looking

    async def _look_always(self) -> None:
        while True:
            try:
                await self.check()
            except Exception:
                logger.exception("the app's health could not be looked at; it is tried again")
            await asyncio.sleep(self.settings.check_every)

    def _loop(self) -> Iterable[PartHealth]:
        limit = self.settings.blocked_after
        if limit <= 0:
            return
        worst = self.watchdog.worst_lag
        if worst < limit:
            yield PartHealth("loop", "event loop", HealthStatus.READY)
            return
        culprit = self.watchdog.culprit
        reason = f"it was late by {worst:.1f} s" + (f"; last blocked by {culprit}" * bool(culprit))
        yield PartHealth("loop", "event loop", HealthStatus.DEGRADED, reason)

    def _note(self, report: HealthReport) -> None:
        """Tell of a status that is not the one before; an app that starts may take its time."""
        before, now = self._status, report.status
        if self.stopping or before is now or not self._looked.is_set():
            return
        if before is None:
            if now is not HealthStatus.READY and time.monotonic() < self._patience:
                return
            before = HealthStatus.READY
        self._status = now
        if before is now:
            return
        self.alerts[now] += 1
        causes = "; ".join(map(str, report.causes)) or "all is well"
        logger.log(_LEVELS[now], "the app is %s (it was %s): %s", now, before, causes)
        for listener, turn in zip(self._listeners, self._turns, strict=False):
            task = asyncio.create_task(_tell(listener, HealthChange(before, report), turn))
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)


async def _threaded(listener: HealthListener, change: HealthChange) -> Awaitable[None] | None:
    return await asyncio.to_thread(listener, change)


async def _tell(listener: HealthListener, change: HealthChange, turn: asyncio.Lock) -> None:
    """Call a listener, after the changes before; a plain function in a thread: it may block."""
    try:
        async with turn:
            result = listener(change) if is_async(listener) else await _threaded(listener, change)
            if isinstance(result, Awaitable):
                await result
    except Exception:
        name = getattr(listener, "__name__", repr(listener))
        logger.exception("'%s', which '@app.on_health' declares, failed", name)
