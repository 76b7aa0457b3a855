"""``daprflow serve``: an app in production, without a sidecar of ours and without reload."""

import logging
import os
import socket
import ssl
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from daprflow.cli.flags import PORT, flag
from daprflow.cli.voice import complain
from daprflow.errors import DaprFlowError
from daprflow.handlers.pool import THREADS
from daprflow.launcher import ports
from daprflow.launcher.child import freeze, serve_app
from daprflow.launcher.exits import Exit, LaunchError
from daprflow.launcher.logs import configure_logging
from daprflow.launcher.loop import run as run_loop
from daprflow.launcher.options import DEFAULT_APP_PORT, LEVELS
from daprflow.launcher.report import Reporter
from daprflow.launcher.target import Loaded, Target, load, resolve
from daprflow.launcher.workers import Workers

logger = logging.getLogger(__name__)

GRACE = 4.0
"""A runtime that is stopped at the same moment waits for five seconds, and takes no answer then."""
LAST = 0.5
"""Seconds in which threads that have nothing to do end."""


def serve(
    target: Annotated[str, typer.Argument(help="module:app, a file, or a folder.")],
    *,
    host: Annotated[str, flag("host", "Address to listen on.")] = ports.LOOPBACK,
    port: Annotated[
        int, typer.Option(help="Port to listen on.", envvar=["DAPRFLOW_PORT", "APP_PORT"], **PORT)
    ] = DEFAULT_APP_PORT,
    grace: Annotated[
        float, flag("grace", "Seconds that requests in flight get after a stop signal.", min=0)
    ] = GRACE,
    workers: Annotated[
        int, flag("workers", "Processes that serve it; one where it has actors.", min=1)
    ] = 1,
    tls_cert: Annotated[
        Path | None, flag("tls_cert", "PEM file of the certificate; serves HTTPS.")
    ] = None,
    tls_key: Annotated[
        Path | None, flag("tls_key", "PEM file of its key; else it is in the same file.")
    ] = None,
    log_level: Annotated[str, flag("log_level", f"One of {', '.join(LEVELS)}.")] = "info",
) -> None:
    """Serve an app beside a runtime that others manage, as on Kubernetes."""
    configure_logging(log_level)
    found = resolve(target, Path.cwd())
    tls = _tls(tls_cert, tls_key)
    if workers > 1:
        listener = ports.listen(port, host=host, flag="--port")
        serving = partial(_work, found, listener, grace, tls)
        raise typer.Exit(Workers(workers, serving, grace).run())
    loaded = load(found)
    freeze(loaded)
    listener = ports.listen(port, host=host, flag="--port")
    raise typer.Exit(_serve(loaded, listener, grace, tls, None))


def _tls(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    if certificate is None:
        if key is not None:
            raise typer.BadParameter("--tls-key is the key of a certificate; give --tls-cert, too")
        return None
    from daprflow.transports.tls import server_context  # noqa: PLC0415 - few apps speak TLS

    return server_context(certificate, key)


def _serve(
    loaded: Loaded,
    listener: socket.socket,
    grace: float,
    tls: ssl.SSLContext | None,
    report: int | None,
) -> int:
    reporter = Reporter(report)
    serving = serve_app(loaded, listener, reporter, grace, insist=_end_at_once, tls=tls)
    code = run_loop(serving)
    _leave_threads(code)
    return code


def _work(
    target: Target,
    listener: socket.socket,
    grace: float,
    tls: ssl.SSLContext | None,
    report: int,
) -> int:
    """Serve as one of several processes; return the exit status, having said what is wrong."""
    try:
        loaded = load(target)
        freeze(loaded)
        return _serve(loaded, listener, grace, tls, report)
    except DaprFlowError as error:
        complain(str(error))
        return error.code if isinstance(error, LaunchError) else Exit.FAILED


def _leave_threads(code: int) -> None:
    """End in any case: a thread that is at work on a plain handler may never be done."""
    deadline = time.monotonic() + LAST
    threads = [each for each in threading.enumerate() if each.name.startswith(THREADS)]
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    if left := sum(thread.is_alive() for thread in threads):
        logger.warning("%d plain handler(s) did not end in time and are given up", left)
        logging.shutdown()
        sys.stdout.flush()
        os._exit(code)


def _end_at_once() -> None:
    """End without waiting for requests, threads or the lifespan: none of them need ever end."""
    sys.stdout.flush()
    os._exit(Exit.INTERRUPTED)
