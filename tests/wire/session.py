"""One recorded session: the embedded sidecar and an app on real sockets, as recorded."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

from daprflow.sidecar.components.base import EditableConfiguration
from daprflow.sidecar.runtime import Runtime
from tests.helpers.http_client import RawClient
from tests.helpers.recording import RecordingApp, free_socket, port_of, serve
from tests.helpers.servers import REDIS, RedisServer, redis_server
from tests.helpers.sidecar import Components, running_sidecar
from tests.wire.normal import ANY_PORT
from tests.wire.replay import Played, RecordedApp, Replay, play_all
from tests.wire.transcript import Step

COMPONENTS = {
    "statestore": ("state.in-memory", {"actorStateStore": "true"}),
    "sqlstate": ("state.sqlite", {"connectionString": "{root}/state.db"}),
    "pubsub": ("pubsub.in-memory", {}),
    "secrets": (
        "secretstores.local.file",
        {"secretsFile": "{root}/secrets.json", "nestedSeparator": ":"},
    ),
    "envsecrets": ("secretstores.local.env", {}),
    "tick": ("bindings.cron", {"schedule": "@every 5s"}),
    "files": ("bindings.localstorage", {"rootPath": "{root}/files"}),
    "echo": ("conversation.echo", {}),
    "config": ("configuration.daprflow", {}),
    "lock": ("lock.daprflow", {}),
}
"""What the recording's runtime was started with, as far as it needs no server, or stand-ins."""

ON_REDIS = {
    "config": "configuration.redis",
    "lock": "lock.redis",
    "redispubsub": "pubsub.redis",
    "redisstate": "state.redis",
}
"""What it was started with on a Redis server; used where the tests have one."""

SECRETS = '{"db":{"password":"p1","user":"u"},"token":"t0"}'


async def change_configuration(runtime: Runtime, command: str) -> None:
    """Do to the configuration store what ``set KEY VALUE||VERSION`` does to Redis."""
    verb, key, value, *further = command.split()
    if verb == "set" and not further:
        store = cast("EditableConfiguration", runtime.configuration.find("config"))
        text, _, version = value.partition("||")
        await store.put(key, text, version)


async def do_on_redis(server: RedisServer, command: str) -> None:
    """Do a command that the recording's driver gave to the Redis server."""
    await server.client.execute_command(*command.split())


@dataclass(frozen=True, slots=True)
class Session:
    """What was observed; ``places`` are the folders and addresses that the recording names."""

    played: Sequence[Played]
    places: dict[str, str]


async def play_session(root: Path, steps: Sequence[Step]) -> Session:
    """Start an app and a sidecar for it, and play ``steps``; on Redis where there is one."""
    components = {
        name: (kind, {key: value.format(root=root) for key, value in metadata.items()})
        for name, (kind, metadata) in COMPONENTS.items()
    }
    if not os.environ.get(REDIS):
        return await _play(root, steps, components, None)
    async with redis_server() as server:
        on_redis = {name: (kind, dict(server.metadata)) for name, kind in ON_REDIS.items()}
        return await _play(root, steps, components | on_redis, server)


async def _play(
    root: Path, steps: Sequence[Step], components: Components, server: RedisServer | None
) -> Session:
    (root / "secrets.json").write_text(SECRETS, encoding="utf-8")
    app = RecordingApp(RecordedApp(steps[0]))
    sock = free_socket()
    port = port_of(sock)
    async with (
        serve(app, sock),
        running_sidecar(root, components, app_id="app1", app_port=port) as sidecar,
    ):
        seed = (
            partial(do_on_redis, server)
            if server is not None
            else partial(change_configuration, sidecar.runtime)
        )
        played = await play_all(Replay(RawClient(sidecar.port), app, port, seed), steps)
    places = {
        f"127.0.0.1:{port}": "<app>",
        str(port): ANY_PORT,
        str(root): "$ROOT",
        os.environ["HOME"]: "$HOME",
    }
    return Session(played, places)
