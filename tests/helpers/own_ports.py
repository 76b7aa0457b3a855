"""Ports that no other test is given: each worker of pytest counts through a range of its own.

Below the range the system picks outgoing ports from, so that no connection takes one by chance, and
above what a run of ours searches first.
"""

import os
import socket
from collections.abc import Iterator
from functools import cache

_FIRST = 22_000
_PER_WORKER = 500


def free_port() -> int:
    """Return a loopback port that nobody has, and that no other test of this session gets."""
    for port in _numbers():
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            continue
    raise AssertionError(f"this worker used up its {_PER_WORKER} ports")


@cache
def _numbers() -> Iterator[int]:
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = _FIRST + worker * _PER_WORKER
    return iter(range(first, first + _PER_WORKER))
