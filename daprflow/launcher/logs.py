"""Log lines of our own processes."""

import logging
import os
import sys

FORMAT = "DAPRFLOW_LOG_FORMAT"
LEVELS = {"warn": logging.WARNING, "fatal": logging.CRITICAL}
CHATTY = ("uvicorn", "uvicorn.error", "watchfiles", "asyncio", "aiohttp")
QUOTING = "grpc._cython.cygrpc"
"""Prints every metadata value that is no UTF-8, tokens among them."""


def wants_json() -> bool:
    """Tell whether the environment asks for lines as JSON."""
    return os.environ.get(FORMAT, "").strip().lower() == "json"


def configure_logging(level: str, *, as_json: bool = False) -> None:
    """Send log lines from ``level`` on to standard error; libraries only warn.

    Their form is what ``DAPRFLOW_LOG_FORMAT`` says, or JSON.

    Raises:
        SettingsError: it cannot be understood.
        MissingExtra: the form needs structlog, and it is not installed.
    """
    if as_json or os.environ.get(FORMAT):
        from daprflow.observability.logging_setup import log_process  # noqa: PLC0415 - seldom needed

        formed = log_process(os.environ, level, as_json=as_json)
    else:
        formed = False
    if not formed:
        logging.basicConfig(
            level=LEVELS.get(level, level.upper()),
            format="%(asctime)s %(levelname)-7s %(name)s: %(message)s",
            datefmt="%H:%M:%S",
        )
    for name in CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))
    logging.getLogger(QUOTING).addFilter(_quotes_nothing)


def name_process(app_id: str) -> None:
    """Have lines with fields say whose sidecar runs in this process; empty where several do."""
    setup = sys.modules.get("daprflow.observability.logging_setup")
    if setup is not None:
        setup.name_process(app_id)


def _quotes_nothing(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith("Invalid encoding on")
