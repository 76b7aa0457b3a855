"""``state.postgresql`` v2: a table on a PostgreSQL server, shared with real runtimes."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from daprflow.sidecar.clock import sleep_until
from daprflow.sidecar.components.base import (
    ComponentContext,
    ComponentError,
    StateWrite,
    StoredValue,
)
from daprflow.sidecar.components.postgres_settings import read_postgres_settings
from daprflow.sidecar.components.postgres_tables import Connection, PostgresTables
from daprflow.sidecar.components.ttl import parse_sql_ttl

if TYPE_CHECKING:
    from asyncpg import Pool

logger = logging.getLogger(__name__)

_MADE_MEANWHILE = {"23505", "42710", "42P07"}
"""What PostgreSQL says when another process makes the same table: its row, its type or itself."""

_TRIES = 10
_CLOSING = 5.0


class PostgresState:
    """A table of values with ETags (UUIDs) and expiry by the server's clock.

    A connection that broke is replaced at the next operation: while the server is away each
    operation fails at once, and when it is back they work again.
    """

    capabilities = ("ETAG", "TRANSACTIONAL", "TTL", "KEYS_LIKE", "ACTOR")
    missing_last = True

    def __init__(self, context: ComponentContext) -> None:
        self._name = context.name
        self._type = context.type
        self._clock = context.clock
        self._settings = read_postgres_settings(context.metadata)
        self._tables = PostgresTables(self._settings)
        self._pool: Pool[Any] | None = None
        self._cleaning: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connect and make the tables that the database lacks.

        Raises:
            ComponentError: the package is missing, or the database cannot be used.
        """
        self._pool = await self._connect()
        try:
            await self._prepare()
        except BaseException:
            await self.close()
            raise
        if self._settings.cleanup_interval:
            self._cleaning = asyncio.get_running_loop().create_task(self._clean())

    async def close(self) -> None:
        """Disconnect."""
        cleaning, self._cleaning = self._cleaning, None
        if cleaning is not None:
            cleaning.cancel()
            await asyncio.wait({cleaning})
        pool, self._pool = self._pool, None
        if pool is None:
            return
        try:
            async with asyncio.timeout(_CLOSING):
                await pool.close()
        except TimeoutError:
            pool.terminate()

    def parse_ttl(self, text: str, /) -> int | None:
        """Read ``ttlInSeconds``; the error text is the real store's."""
        return parse_sql_ttl(text)

    async def get(self, key: str, /) -> StoredValue | None:
        """Return the stored value, None when absent or expired."""
        async with self._connection() as connection:
            return (await self._tables.read(connection, (key,))).get(key)

    async def get_many(self, keys: Sequence[str], /) -> list[StoredValue | None]:
        """Return the stored values in the order of ``keys``."""
        async with self._connection() as connection:
            found = await self._tables.read(connection, keys)
        return [found.get(key) for key in keys]

    async def write(self, write: StateWrite, /) -> None:
        """Do one write, if its ETag allows it."""
        async with self._connection() as connection:
            await self._tables.apply(connection, write)

    async def transact(self, writes: Sequence[StateWrite], /) -> None:
        """Do all writes in order or none."""
        async with self._connection() as connection, connection.transaction():
            for write in writes:
                await self._tables.apply(connection, write)

    async def keys(self, prefix: str, suffix: str, /) -> list[str]:
        """Return the keys that begin and end so."""
        async with self._connection() as connection:
            return await self._tables.keys(connection, prefix, suffix)

    async def _connect(self) -> "Pool[Any]":
        try:
            import asyncpg  # noqa: PLC0415 - an extra
        except ImportError:
            raise ComponentError(
                f"'{self._type}' needs an optional package; install it with: "
                "pip install 'daprflow[postgresql]'"
            ) from None
        settings = self._settings
        try:
            return await asyncpg.create_pool(
                settings.url,
                min_size=0,
                max_size=settings.max_connections,
                timeout=settings.timeout,
                command_timeout=settings.timeout,
                statement_cache_size=100 if settings.prepare else 0,
            )
        except ValueError as error:
            raise ComponentError(f"connectionString cannot be used: {error}") from error

    async def _prepare(self) -> None:
        """Make the tables; again where another process made the same one just now."""
        for attempt in range(_TRIES):
            try:
                async with self._connection() as connection:
                    await self._tables.prepare(connection)
            except ComponentError as error:
                cause = getattr(error.__cause__, "sqlstate", "")
                if cause not in _MADE_MEANWHILE or attempt == _TRIES - 1:
                    raise
            else:
                return

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        """Lend a connection; what goes wrong with it becomes a `ComponentError`."""
        from asyncpg import InterfaceError, PostgresError  # noqa: PLC0415 - an extra

        if self._pool is None:
            raise ComponentError("the state store is closed")
        try:
            async with self._pool.acquire(timeout=self._settings.timeout) as connection:
                yield connection
        except (PostgresError, InterfaceError, OSError, TimeoutError) as error:
            raise ComponentError(self._explain(error)) from error

    def _explain(self, error: Exception) -> str:
        code: str = getattr(error, "sqlstate", None) or ""
        place = f"PostgreSQL at '{self._settings.address}'"
        if code.startswith("28"):
            return (
                f"{place} refused the credentials: {error}; "
                "check user and password of 'connectionString'"
            )
        if code and not code.startswith(("08", "57P")):
            return f"{place} refused the operation: {error}"
        return (
            f"{place} cannot be reached: {str(error) or type(error).__name__}; "
            "see that it runs, or correct 'connectionString'"
        )

    async def _clean(self) -> None:
        """Remove what has expired, again and again."""
        while True:
            interval = self._settings.cleanup_interval
            await sleep_until(self._clock, self._clock.now() + interval)
            try:
                async with self._connection() as connection:
                    await self._tables.clean(connection)
            except ComponentError as error:
                logger.warning("expired values of '%s' could not be removed: %s", self._name, error)
