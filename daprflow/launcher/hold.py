"""A process of an app that was started ahead of its time: ready but for the app itself."""

import os
from importlib import import_module, invalidate_caches

GO = b"g"
"""What the supervisor writes when the app may begin."""

NEEDED = (
    "daprflow.handlers.compile",
    "daprflow.health.of_app",
    "daprflow.transports.hosting",
    "daprflow.transports.http",
    "daprflow.transports.server",
    "starlette.applications",
)
"""What nearly every app imports between its start and its first event; most of that time."""


def await_turn(descriptor: int) -> bool:
    """Import what apps need, then wait; return whether the app may begin.

    Args:
        descriptor: the reading end of a pipe; at its end nobody needs this process.
    """
    os.set_inheritable(descriptor, False)  # noqa: FBT003 - takes no keyword
    for name in NEEDED:
        import_module(name)
    told = os.read(descriptor, len(GO))
    os.close(descriptor)
    invalidate_caches()  # files may have come since
    return told == GO
