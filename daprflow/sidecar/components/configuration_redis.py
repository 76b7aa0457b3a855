"""``configuration.redis``: keys of a Redis server as configuration items."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from daprflow.sidecar.clock import sleep_until
from daprflow.sidecar.components.base import (
    ComponentContext,
    ComponentError,
    ConfigurationChanged,
    ConfigurationValue,
)
from daprflow.sidecar.components.redis_link import RedisLink, text_of

logger = logging.getLogger(__name__)

_SEPARATOR = "||"
_EVENTS = "Kg$xe"
_AT_ONCE = 1000
_AWAY_PAUSE = 0.5


class RedisConfiguration:
    """Items are strings of the form ``value||version``, the version left out where there is none.

    Changes are the server's notifications about keys, which a subscription switches on.
    """

    capabilities: tuple[str, ...] = ()

    def __init__(self, context: ComponentContext) -> None:
        self.name = context.name
        self.link = RedisLink(context)
        self.clock = context.clock
        self._watches: set[_Watch] = set()

    async def open(self) -> None:
        """Connect."""
        await self.link.open()

    async def close(self) -> None:
        """End every subscription and disconnect."""
        for watch in tuple(self._watches):
            await self._end(watch)
        await self.link.close()

    async def get(
        self,
        keys: Sequence[str],
        metadata: Mapping[str, str],  # noqa: ARG002 - the real one has none
        /,
    ) -> dict[str, ConfigurationValue]:
        """Return the items that exist of ``keys``; no keys asks for every string on the server."""
        wanted = list(keys) or await self._every_key()
        if not wanted:
            return {}
        found: list[bytes | None] = await self.link.command("MGET", *wanted)
        items: dict[str, ConfigurationValue] = {}
        for key, raw in zip(wanted, found, strict=True):
            value, _, version = text_of(raw or b"").partition(_SEPARATOR)
            if value:
                items[key] = ConfigurationValue(value, version.partition(_SEPARATOR)[0])
        return items

    async def subscribe(
        self, keys: Sequence[str], metadata: Mapping[str, str], changed: ConfigurationChanged, /
    ) -> Callable[[], Awaitable[None]]:
        """Call ``changed`` with every later change of ``keys``, of all items without any.

        A deleted item comes with an empty value. What changed while the server was away is told
        when it is back, where the keys are named.
        """
        await self._switch_on()
        watch = _Watch(self, tuple(keys), metadata, changed)
        await watch.start()
        self._watches.add(watch)

        async def stop() -> None:
            await self._end(watch)

        return stop

    async def _end(self, watch: "_Watch") -> None:
        self._watches.discard(watch)
        await watch.stop()

    async def _switch_on(self) -> None:
        """Have the server tell about keys, in addition to what it tells about already."""
        try:
            answer = await self.link.command("CONFIG", "GET", "notify-keyspace-events")
            now = _setting(answer)
            wanted = now + "".join(flag for flag in _EVENTS if not _includes(now, flag))
            if wanted != now:
                await self.link.command("CONFIG", "SET", "notify-keyspace-events", wanted)
        except ComponentError as error:
            logger.warning(
                "changes on '%s' are only seen if the Redis server tells about keys "
                "(notify-keyspace-events %s), and it could not be asked to: %s",
                self.name,
                _EVENTS,
                error,
            )

    async def _every_key(self) -> list[str]:
        cursor, keys = b"0", list[str]()
        while True:
            cursor, page = await self.link.command("SCAN", cursor, "COUNT", _AT_ONCE)
            keys += map(text_of, page)
            if int(cursor) == 0:
                return sorted(set(keys))


class _Watch:
    """One subscription and the connection that it listens on."""

    def __init__(
        self,
        store: RedisConfiguration,
        keys: tuple[str, ...],
        metadata: Mapping[str, str],
        changed: ConfigurationChanged,
    ) -> None:
        self._store = store
        self._keys = keys
        self._metadata = metadata
        self._changed = changed
        self._prefix = f"__keyspace@{store.link.settings.db}__:"
        self._channels: Any = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen; returns once the server has confirmed it."""
        await self._connect()
        self._task = asyncio.get_running_loop().create_task(self._listen())

    async def stop(self) -> None:
        """Listen no more."""
        task, self._task = self._task, None
        if task is not None and task is not asyncio.current_task():
            task.cancel()
            await asyncio.wait({task})
        await self._disconnect()

    async def _connect(self) -> None:
        channels = self._channels = self._store.link.pubsub()
        try:
            if self._keys:
                await channels.subscribe(*(self._prefix + key for key in self._keys))
            else:
                await channels.psubscribe(self._prefix + "*")
            for _ in self._keys or ("*",):
                await channels.get_message(timeout=self._store.link.settings.timeout)
        except Exception as error:
            await self._disconnect()
            raise self._store.link.explain(error) from error

    async def _disconnect(self) -> None:
        channels, self._channels = self._channels, None
        if channels is not None:
            await channels.aclose()
            await channels.connection_pool.disconnect()

    async def _listen(self) -> None:
        """Tell about changes until stopped, with new connections where one broke."""
        away = False
        while True:
            try:
                if self._channels is None:
                    await self._connect()
                if away:
                    away = False
                    await self._tell(self._keys)
                await self._told()
            except ComponentError as error:
                if not away:
                    logger.warning("changes on '%s' are not seen now: %s", self._store.name, error)
                away = True
                await self._disconnect()
                clock = self._store.clock
                await sleep_until(clock, clock.now() + _AWAY_PAUSE)

    async def _told(self) -> None:
        """Wait for one notification and pass it on."""
        try:
            message = await self._channels.get_message(timeout=None)
        except Exception as error:
            raise self._store.link.explain(error) from error
        if message is not None and message["type"] in {"message", "pmessage"}:
            await self._tell((text_of(message["channel"]).removeprefix(self._prefix),))

    async def _tell(self, keys: Sequence[str]) -> None:
        for key in keys:
            items = await self._store.get((key,), self._metadata)
            await self._changed(items or {key: ConfigurationValue("")})


def _setting(answer: Any) -> str:
    """Return the value in an answer to CONFIG GET, a map or a list of pairs."""
    values = list(answer.values()) if isinstance(answer, dict) else list(answer)[1:]
    return text_of(values[0]) if values else ""


def _includes(flags: str, flag: str) -> bool:
    return flag in flags or (flag != "K" and "A" in flags)
