"""``lock.redis``: a key per lock on a Redis server, shared with real runtimes."""

from daprflow.protocol.locks import Unlocked
from daprflow.sidecar.components.base import ComponentContext, ComponentError
from daprflow.sidecar.components.redis_link import RedisLink

_RELEASE = """
local holder = redis.call('GET', KEYS[1])
if not holder then return 1 end
if holder ~= ARGV[1] then return 2 end
redis.call('DEL', KEYS[1])
return 0
"""


class RedisLocks:
    """Locks on one server; each is a key that holds its owner and expires."""

    capabilities: tuple[str, ...] = ()

    def __init__(self, context: ComponentContext) -> None:
        self._has_host = bool(context.metadata.get("redishost"))
        self._link = RedisLink(context)

    async def open(self) -> None:
        """Connect.

        Raises:
            ComponentError: the server cannot be used, or copies itself to others, which could
                hand out a lock twice.
        """
        if not self._has_host:
            raise ComponentError("metadata property redisHost is empty; write host:port")
        await self._link.open()
        replicas = await connected_replicas(self._link)
        if replicas:
            await self._link.close()
            raise ComponentError(
                f"the Redis server has {replicas} replicas, and replication is not supported for "
                "locks; name a server that stands alone"
            )

    async def close(self) -> None:
        """Disconnect."""
        await self._link.close()

    async def try_lock(self, resource: str, owner: str, seconds: int, /) -> bool:
        """Take the lock for ``owner`` unless somebody has it, the owner included."""
        taken = await self._link.command("SET", resource, owner, "NX", "PX", seconds * 1000)
        return taken is not None and taken is not False

    async def unlock(self, resource: str, owner: str, /) -> Unlocked:
        """Give the lock back if ``owner`` has it."""
        return Unlocked(await self._link.command("EVAL", _RELEASE, 1, resource, owner))


async def connected_replicas(link: RedisLink) -> int:
    """Return how many servers copy this one."""
    info = await link.command("INFO", "replication")
    return int(info.get("connected_slaves", 0)) if isinstance(info, dict) else 0
