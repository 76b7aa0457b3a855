"""The paths of probes, which nobody else may answer."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from daprflow.handlers.compile import Route

LIVE, READY = "/healthz", "/readyz"
_VERBS = frozenset({"GET", "HEAD"})


def taken(handlers: Iterable["Route"], routes: Iterable[Any]) -> list[str]:
    """Return which handlers, and which further routes of an app, stand where probes are answered.

    Args:
        handlers: the compiled ones.
        routes: Starlette's.
    """
    problems = [
        f"{each.handler.registration.title} has the route '{each.method} {each.path}', where "
        "probes are answered; give it another path"
        for each in handlers
        if each.method in _VERBS and each.path in (LIVE, READY)
    ]
    problems += [
        f"'routes' has a route '{path}', where probes are answered; give it another path"
        for path in _probed(routes)
    ]
    return problems


def hidden(routes: Sequence[Any]) -> list[str]:
    """Return a warning of each route of a host that nobody reaches, since probes are answered."""
    return [
        f"the route '{path}' of the host application is never asked: daprflow answers probes there"
        for path in _probed(routes)
    ]


def _probed(routes: Iterable[Any]) -> list[str]:
    found = []
    for each in routes:
        path, methods = getattr(each, "path", None), getattr(each, "methods", None)
        if path in (LIVE, READY) and (methods is None or _VERBS & set(methods)):
            found.append(path)
    return found
