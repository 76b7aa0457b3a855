"""Ports that were promised to a program which has not bound them yet."""

import contextlib
import socket
import sys


def reserve(port: int) -> socket.socket | None:
    """Promise ``port`` to a program of ours until the result is closed or this process ends.

    Between our closing of a port and the program's binding of it, another run could take it. The
    promise is a name in Linux's abstract socket namespace, which leaves no file behind; elsewhere,
    and where somebody has promised it already, there is none.
    """
    if not sys.platform.startswith("linux"):
        return None
    promise = socket.socket(socket.AF_UNIX)
    try:
        promise.bind(f"\0daprflow-port-{port}")
    except OSError:
        promise.close()
        return None
    return promise


def is_reserved(port: int) -> bool:
    """Whether another run, or this one, has promised ``port`` to a program."""
    if not sys.platform.startswith("linux"):
        return False
    promise = reserve(port)
    if promise is None:
        return True
    with contextlib.closing(promise):
        return False
