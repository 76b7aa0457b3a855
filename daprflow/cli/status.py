"""``daprflow status``: how apps that run here are, with their sidecars and components."""

import asyncio
import sys
import time
from typing import Annotated

import msgspec
import typer

from daprflow.cli.calls import DEFAULT_DATA_DIR, LOOPBACK, Place, Refused, exchange
from daprflow.cli.completion import all_app_ids
from daprflow.cli.poke import pretty, told
from daprflow.cli.running import AsJson, DataDir, Running, age, everything, idle, named
from daprflow.cli.voice import printable, put
from daprflow.health.paths import READY
from daprflow.health.report import HealthStatus, PartHealth, summed
from daprflow.launcher.exits import Exit
from daprflow.launcher.loop import run
from daprflow.protocol.http import HttpRequest
from daprflow.settings import Settings

APP = "app"
CHECKS = "checks"
"""What an app names as the cause while it looks at itself for the first time."""
GONE = "its process has ended; its output says why"
SECONDS = 5.0
PAUSE = 0.05
MARKS = {HealthStatus.READY: "ready", HealthStatus.DEGRADED: "DEGRADED", HealthStatus.DOWN: "DOWN"}


class AppStatus(msgspec.Struct, frozen=True, rename="camel"):
    """How one app is, as ``--json`` prints it.

    Attributes:
        status: of the worst part.
        parts: the app, its sidecar, each component.
    """

    app_id: str
    http_port: int
    status: HealthStatus
    parts: tuple[PartHealth, ...]


class _Ready(msgspec.Struct, frozen=True):
    """What ``/readyz`` of one of our apps answers."""

    status: HealthStatus
    causes: tuple[PartHealth, ...] = ()


def status(
    app: Annotated[
        str | None,
        typer.Argument(help="Id of an app; else all that run here.", autocompletion=all_app_ids),
    ] = None,
    *,
    timeout: Annotated[
        float, typer.Option(help="Seconds that one answer may take.", min=0.1)
    ] = SECONDS,
    as_json: AsJson = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Ask apps, their sidecars and components how they are.

    Exits with 1 unless all are ready.

    \b
    daprflow status
    daprflow status shop --json
    """  # noqa: D301 - the backspace is for the help's layout
    with told(as_json=as_json):
        found = everything(data_dir) if app is None else named(app, data_dir, everywhere=True)
        if not found:
            raise idle(data_dir)
        shown = run(_all(found, timeout))
    if as_json:
        put(sys.stdout, pretty(shown) + "\n")
    else:
        for each, one in zip(found, shown, strict=True):
            put(sys.stdout, "".join(f"{printable(line)}\n" for line in _lines(each, one)))
    if any(each.status is not HealthStatus.READY for each in shown):
        raise typer.Exit(Exit.FAILED)


async def _all(found: list[Running], seconds: float) -> list[AppStatus]:
    return await asyncio.gather(*(_status(each, seconds) for each in found))


async def _status(running: Running, seconds: float) -> AppStatus:
    from daprflow.client.component_health import sidecar_health  # noqa: PLC0415 - with the transport
    from daprflow.transports.http import HttpTransport  # noqa: PLC0415 - imports aiohttp

    app = running.app
    transport = HttpTransport(
        Settings(http_endpoint=f"http://{LOOPBACK}:{app.http_port}", api_token=app.api_token or "")
    )
    try:
        own, beside = await asyncio.gather(
            asyncio.to_thread(_app_parts, running, seconds), sidecar_health(transport, seconds)
        )
    finally:
        await transport.close()
    report = summed((*own, *beside))
    return AppStatus(app.app_id, app.http_port, report.status, report.parts)


def _app_parts(running: Running, seconds: float) -> tuple[PartHealth, ...]:
    """Ask the app itself; one that is not of daprflow need only answer."""
    app = running.app
    if app.app_port is None:
        return ()
    if running.gone:
        return (PartHealth(APP, app.app_id, HealthStatus.DOWN, GONE),)
    deadline = time.monotonic() + seconds
    while True:
        try:
            answer = exchange(Place(app.app_port, None), HttpRequest("GET", READY), seconds)
        except Refused as error:
            text = str(error).replace("no sidecar answers", "it does not answer")
            text = text.replace("the sidecar", "the app")
            return (PartHealth(APP, app.app_id, HealthStatus.DOWN, text),)
        try:
            said = msgspec.json.decode(answer.body, type=_Ready)
        except msgspec.MsgspecError:
            return (PartHealth(APP, app.app_id, HealthStatus.READY, probed=False),)
        looking = any(each.name == CHECKS for each in said.causes)
        if not looking or time.monotonic() > deadline:
            break
        time.sleep(PAUSE)  # it looks at itself for the first time, since somebody asks
    reason = "; ".join(f"{each.name}: {each.reason}" for each in said.causes)
    return (PartHealth(APP, app.app_id, said.status, reason),)


def _lines(running: Running, shown: AppStatus) -> list[str]:
    """Describe an app for people."""
    about = f"{running.app.sidecar} sidecar on port {shown.http_port}, up {age(running.started)}"
    lines = [f"app '{shown.app_id}' is {MARKS[shown.status]} ({about})"]
    for part in shown.parts:
        name = f"{part.name} ({part.type})" if part.type else part.name
        mark = MARKS[part.status] if part.probed or part.reason else "loaded"
        lines.append(f"  {part.part:<10}{name:<40}{mark}{_because(part)}")
    return lines


def _because(part: PartHealth) -> str:
    return f": {part.reason}" if part.reason else ""
