"""The connection of one component to its Redis server, with errors that say what to do."""

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from daprflow.sidecar.components.base import ComponentContext, ComponentError
from daprflow.sidecar.components.redis_settings import RedisSettings, read_redis_settings

if TYPE_CHECKING:
    from redis.asyncio import Redis

logger = logging.getLogger(__name__)

Argument = str | bytes | int
"""What a command is made of."""

_CODE_LENGTH = 4


class CommandRefused(ComponentError):  # noqa: N818 - named for what happened
    """The server was reached and answered with an error; the text is its answer."""


class RedisLink:
    """A pool of connections, made when it is opened.

    A connection that broke is replaced at the next command: while the server is away each command
    fails at once, and when it is back they work again. Nothing is sent twice.
    """

    def __init__(self, context: ComponentContext) -> None:
        self.settings: RedisSettings = read_redis_settings(context.metadata)
        self._type = context.type
        self._client: Redis | None = None

    async def open(self) -> None:
        """Connect and ask for a sign of life.

        Raises:
            ComponentError: the package is missing, or the server cannot be used.
        """
        self._client = self._make(self.settings.pool_size, self.settings.timeout)
        try:
            await self.command("PING")
        except ComponentError:
            await self.close()
            raise

    async def close(self) -> None:
        """Close every connection."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def dedicated(self, timeout: float) -> "DedicatedLink":
        """Return one more connection, for commands that wait up to ``timeout`` seconds."""
        return DedicatedLink(self, self._make(1, timeout))

    async def command(self, *arguments: Argument, **reading: bool) -> Any:
        """Do one command and return its answer, text as bytes.

        Args:
            arguments: the command's name and what follows it.
            reading: how the library shall read the answer, where it asks that.

        Raises:
            CommandRefused: the server refused it.
            ComponentError: the server could not be reached.
        """
        return await self.send(self._opened(), arguments, **reading)

    async def send(self, client: "Redis", arguments: Sequence[Argument], **reading: bool) -> Any:
        """Do one command on ``client``; see `command`."""
        try:
            answer = await client.execute_command(*arguments, **reading)  # type: ignore[no-untyped-call]
        except Exception as error:
            raise self.explain(error) from error
        _heed_cancellation()
        return answer

    async def pipeline(
        self, commands: Sequence[Sequence[Argument]], *, transaction: bool
    ) -> list[Any]:
        """Do several commands in one round trip, in a transaction or not.

        Returns:
            the answers; a `CommandRefused` in place of each that was refused.

        Raises:
            ComponentError: the server could not be reached.
        """
        try:
            async with self._opened().pipeline(transaction=transaction) as pipe:
                for arguments in commands:
                    pipe.execute_command(*arguments)
                answers = await pipe.execute(raise_on_error=False)
        except Exception as error:
            raise self.explain(error) from error
        return [self.explain(a) if isinstance(a, Exception) else a for a in answers]

    def explain(self, error: Exception) -> Exception:
        """Return what to raise for an error of the library; others come back as they are."""
        from redis import exceptions  # noqa: PLC0415 - an extra

        _heed_cancellation()
        place = f"Redis at '{self.settings.address}'"
        if isinstance(error, exceptions.AuthenticationError | exceptions.NoPermissionError):
            return ComponentError(
                f"{place} refused the credentials: {error}; "
                "check 'redisUsername' and 'redisPassword'"
            )
        if isinstance(error, exceptions.ResponseError):
            text = str(error)
            if "Authentication" in text or text.startswith("AUTH"):
                return ComponentError(f"{place} refused the credentials: {text}")
            return CommandRefused(text if _has_code(text) else f"ERR {text}")
        if isinstance(error, exceptions.RedisError | OSError | TimeoutError):
            return ComponentError(
                f"{place} cannot be reached: {str(error) or type(error).__name__}; "
                "see that it runs, or correct 'redisHost'"
            )
        return error

    def pubsub(self) -> Any:
        """Return the library's object for channels, with a connection of its own."""
        return self._make(1, None).pubsub()

    def _opened(self) -> "Redis":
        if self._client is None:
            raise ComponentError(f"the connection to Redis at '{self.settings.address}' is closed")
        return self._client

    def _make(self, connections: int, timeout: float | None) -> "Redis":
        try:
            from redis.asyncio import BlockingConnectionPool, Redis, SSLConnection  # noqa: PLC0415 - an extra
            from redis.asyncio.connection import Connection  # noqa: PLC0415 - likewise
            from redis.asyncio.retry import Retry  # noqa: PLC0415 - likewise
            from redis.backoff import NoBackoff  # noqa: PLC0415 - likewise
        except ImportError:
            raise ComponentError(
                f"'{self._type}' needs an optional package; install it with: "
                "pip install 'daprflow[redis]'"
            ) from None
        settings = self.settings
        options: dict[str, Any] = {
            "host": settings.host,
            "port": settings.port,
            "db": settings.db,
            "username": settings.username,
            "password": settings.password,
            "socket_timeout": timeout,
            "socket_connect_timeout": settings.connect_timeout,
            "retry": Retry(NoBackoff(), 0),
            "protocol": 2,
        }
        if settings.tls:
            options["ssl_cert_reqs"] = "required" if settings.verify else "none"
            options["ssl_check_hostname"] = settings.verify
        pool = BlockingConnectionPool(
            max_connections=connections,
            timeout=settings.timeout + 1,
            connection_class=SSLConnection if settings.tls else Connection,
            **options,
        )
        return Redis.from_pool(pool)


class DedicatedLink:
    """A connection that one subscription waits on."""

    def __init__(self, link: RedisLink, client: "Redis") -> None:
        self._link = link
        self._client = client

    async def command(self, *arguments: Argument) -> Any:
        """Do one command; see `RedisLink.command`."""
        return await self._link.send(self._client, arguments)

    async def close(self) -> None:
        """Close the connection."""
        await self._client.aclose()


def text_of(value: object) -> str:
    """Return an answer of the server as text."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _heed_cancellation() -> None:
    """Go on with a cancellation that the library took for its own: it does while it connects."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _has_code(text: str) -> bool:
    """Whether an error begins with a code such as WRONGTYPE; the library takes 'ERR' away."""
    code = text.partition(" ")[0]
    return len(code) >= _CODE_LENGTH and code.isalpha() and code.isupper()
