"""The process of an app: import it, tell the supervisor what it holds, serve it until told to stop.

Its arguments are ``TARGET --fd N --report N --grace S [--debug PORT] [--hold N]``;
`daprflow.launcher.app_process` starts it.
"""

import asyncio
import logging
import os
import signal
import socket
import ssl
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from daprflow.components.declarations import RUN_ENV
from daprflow.errors import AppDefinitionError
from daprflow.launcher.debugging import await_client
from daprflow.launcher.exits import Exit, LaunchError
from daprflow.launcher.hold import await_turn
from daprflow.launcher.logs import configure_logging
from daprflow.launcher.loop import run
from daprflow.launcher.report import AppFailed, AppFrozen, AppServing, Cron, HandlerRow, Reporter
from daprflow.launcher.sources import loaded_below
from daprflow.launcher.target import Loaded, load, resolve
from daprflow.workflows.options import watching

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ChildOptions:
    """What the supervisor asks of the app's process.

    Attributes:
        debug: the port on which it waits for a debugger before anything else; None waits for none.
        hold: where it is told to begin; None begins at once.
    """

    target: str
    listener: int
    report: int | None
    grace: float
    log_level: str
    debug: int | None
    hold: int | None = None


def main(arguments: Sequence[str]) -> int:
    """Serve a target; return the exit status."""
    options = _parse(arguments)
    reporter = Reporter(options.report)
    if options.report is not None:
        os.set_inheritable(options.report, False)  # noqa: FBT003 - takes no keyword
    configure_logging(options.log_level)
    if options.hold is not None and not await_turn(options.hold):
        return Exit.OK
    try:
        if options.debug is not None:
            await_client(options.debug, "the app", follow=True)
        target = resolve(options.target, Path.cwd())
        loaded = load(target)
        frozen = freeze(loaded, os.environ.get("DAPRFLOW_ENV") or RUN_ENV)
    except (LaunchError, AppDefinitionError) as error:
        reporter.send(AppFailed(str(error)))
        sys.stderr.write(f"{error}\n")
        return error.code if isinstance(error, LaunchError) else Exit.FAILED
    os.environ.setdefault("APP_ID", frozen.app_id)
    loaded.app.workflow_settings = watching(loaded.app.workflow_settings)
    if options.debug is not None:
        loaded.app.health.watch_no_loop()
    reporter.send(msgspec.structs.replace(frozen, files=tuple(loaded_below(target.root))))
    for warning in frozen.declared.warnings:
        logger.warning("%s", warning)
    listener = socket.socket(fileno=options.listener)
    return run(serve_app(loaded, listener, reporter, options.grace))


def freeze(loaded: Loaded, env: str = RUN_ENV) -> AppFrozen:
    """Freeze the app and describe it, with what it declares for an environment.

    Raises:
        AppDefinitionError: the app is wrong; every problem at once.
    """
    app = loaded.app
    app.freeze()
    return AppFrozen(
        app_id=app.app_id,
        folder=str(loaded.folder),
        handlers=tuple(
            HandlerRow(
                row.kind,
                row.name,
                row.path,
                row.handler,
                row.source,
                row.payload,
                row.method,
                row.options,
            )
            for row in app.table()
        ),
        crons=tuple(Cron(cron.name, cron.schedule) for cron in app.crons()),
        features=app.features(),
        declared=app.declared(env),
    )


async def serve_app(
    loaded: Loaded,
    listener: socket.socket,
    reporter: Reporter,
    grace: float,
    *,
    insist: Callable[[], None] | None = None,
    tls: ssl.SSLContext | None = None,
) -> int:
    """Serve until a signal says stop, then let what is in flight end.

    A second signal calls ``insist``; a supervisor sees to that by itself.
    """
    from daprflow.transports.server import HttpServer, StartFailed  # noqa: PLC0415 - after freeze

    stop = asyncio.Event()

    def interrupted() -> None:
        if stop.is_set() and insist is not None:
            insist()
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, interrupted)
    server = HttpServer(loaded.asgi, lifespan=True, websockets=True, tls=tls)
    starting = asyncio.create_task(server.start(listener))
    try:
        if not await _before(starting, stop):
            return Exit.OK
    except StartFailed as error:
        reporter.send(AppFailed(str(error)))
        return Exit.FAILED
    reporter.send(AppServing())
    await stop.wait()
    if insist is None:
        loaded.app.health.stop()  # a supervisor's own time runs, and nobody else sends anything
    else:
        await loaded.app.health.drain()
    await server.stop(grace)
    return Exit.OK


async def _before(starting: asyncio.Task[None], stop: asyncio.Event) -> bool:
    """Wait until the app has started; False where it is told to end before, and so it does.

    Raises:
        StartFailed: it cannot start.
    """
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
    if starting.done():
        stopped.cancel()
        await starting
        return True
    logging.getLogger("uvicorn.error").disabled = True  # it calls the end of a start a failure
    starting.cancel()
    await asyncio.wait({starting})
    return False


def _parse(arguments: Sequence[str]) -> ChildOptions:
    parser = ArgumentParser("daprflow.launcher.child")
    parser.add_argument("target")
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--report", type=int)
    parser.add_argument("--grace", type=float, default=5.0)
    parser.add_argument("--log-level", default="info")
    parser.add_argument("--debug", type=int)
    parser.add_argument("--hold", type=int)
    known = parser.parse_args(arguments)
    return ChildOptions(
        known.target,
        known.fd,
        known.report,
        known.grace,
        known.log_level,
        known.debug,
        known.hold,
    )
