"""The sidecar that somebody else has started for this app: ``dapr run … -- daprflow run …``."""

import asyncio
import http.client
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from daprflow.launcher.ports import LOOPBACK

WAIT_SECONDS = 10.0
"""``dapr run`` starts the app and a sidecar that calls it at one time."""
QUIET_SECONDS = 1.0
CALL_SECONDS = 2.0
PAUSE = 0.1
FORBIDDEN = 401


@dataclass(frozen=True, slots=True)
class Existing:
    """A sidecar that runs for this app already.

    Attributes:
        app_port: where it expects the app; None where nobody said.
    """

    app_id: str
    http_port: int
    grpc_port: int
    app_port: int | None


class _Named(msgspec.Struct, frozen=True):
    id: str = ""


async def find_sidecar(
    app_id: str | None,
    env: Mapping[str, str],
    say: Callable[[str], None],
    patience: float = WAIT_SECONDS,
) -> Existing | None:
    """Return the sidecar that the environment names, if it answers for this very app.

    ``dapr run`` gives an app its id and both ports; a shell that only knows where some sidecar is
    has not all of them.

    Args:
        app_id: the id that the user asks for; None takes the environment's.
        env: of this process.
        say: prints one line.
        patience: seconds that it may take to answer.
    """
    wanted = env.get("APP_ID", "")
    http_port, grpc_port = _port(env, "DAPR_HTTP_PORT"), _port(env, "DAPR_GRPC_PORT")
    if not wanted or http_port is None or grpc_port is None or app_id not in {None, wanted}:
        return None
    clock = asyncio.get_running_loop()
    began = clock.time()
    told = False
    while (found := await asyncio.to_thread(_id_at, http_port, env)) is None:
        waited = clock.time() - began
        if waited > patience:
            say(f"no sidecar answers on port {http_port}, which DAPR_HTTP_PORT names")
            return None
        if waited > QUIET_SECONDS and not told:
            say(f"waiting for the sidecar that DAPR_HTTP_PORT names, on port {http_port}")
            told = True
        await asyncio.sleep(PAUSE)
    if found not in {"", wanted}:
        say(f"the sidecar on port {http_port} (DAPR_HTTP_PORT) is that of app '{found}'")
        return None
    return Existing(wanted, http_port, grpc_port, _port(env, "APP_PORT"))


def _id_at(port: int, env: Mapping[str, str]) -> str | None:
    """Return whose sidecar answers; empty where it does not say, None where nobody answers."""
    token = env.get("DAPR_API_TOKEN")
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=CALL_SECONDS)
    try:
        connection.request(
            "GET", "/v1.0/metadata", headers={"dapr-api-token": token} if token else {}
        )
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    if response.status == FORBIDDEN:
        return ""
    try:
        return msgspec.json.decode(body, type=_Named).id
    except msgspec.DecodeError:
        return None


def _port(env: Mapping[str, str], name: str) -> int | None:
    text = env.get(name, "")
    return int(text) if text.isdecimal() and int(text) else None
