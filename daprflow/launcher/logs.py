"""Log lines of our own processes."""

import logging

LEVELS = {"warn": logging.WARNING, "fatal": logging.CRITICAL}
CHATTY = ("uvicorn", "uvicorn.error", "watchfiles", "asyncio", "aiohttp")
QUOTING = "grpc._cython.cygrpc"
"""Prints every metadata value that is no UTF-8, tokens among them."""


def configure_logging(level: str) -> None:
    """Send log lines from ``level`` on to standard error; libraries only warn."""
    logging.basicConfig(
        level=LEVELS.get(level, level.upper()),
        format="%(asctime)s %(levelname)-7s %(name)s: %(message)s",
        datefmt="%H:%M:%S",
    )
    for name in CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))
    logging.getLogger(QUOTING).addFilter(_quotes_nothing)


def _quotes_nothing(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith("Invalid encoding on")
