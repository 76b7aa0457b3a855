"""How many connections a process has files for."""

import sys

RESERVE = 128
"""Files for all else: databases, connections to others, and those that are being turned away."""
FEWEST = 8
AT_ONCE = 16
"""Connections that a loop takes before any of them can be turned away."""
WAITING = 2_048
"""Connections that the system keeps until they are taken."""


def fitting(wanted: int) -> int:
    """Return ``wanted`` connections, or as many as the limit on open files leaves room for.

    A process without a free file cannot even accept a connection to turn it away.
    """
    if sys.platform == "win32":
        return wanted
    import resource  # noqa: PLC0415 - absent on Windows

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    return min(wanted, max(FEWEST, soft - RESERVE))
