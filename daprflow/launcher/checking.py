"""``daprflow check``: does everything a sidecar would send reach the handlers?

The app is frozen but not started, so no provider runs and no handler is called: its endpoints
answer "not started" to whatever gets through to them.
"""

import asyncio
from dataclasses import dataclass
from itertools import pairwise

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.types import ASGIApp

from daprflow.handlers.registration import name_of
from daprflow.launcher.report import AppFrozen
from daprflow.launcher.target import Loaded, layers
from daprflow.protocol.http import JSON, HttpRequest, HttpResponse
from daprflow.sidecar.channel.base import AppUnreachable
from daprflow.sidecar.channel.in_process import AsgiChannel
from daprflow.transports.asgi import REACHED
from daprflow.transports.route import DaprRoute

PROBE_SECONDS = 5.0
_BODIES = {"GET": b"", "HEAD": b""}


@dataclass(frozen=True, slots=True)
class Probe:
    """One request of a sidecar, and what it is for; ``invokes`` where another app makes it."""

    request: HttpRequest
    purpose: str
    invokes: bool = False


def probes(frozen: AppFrozen) -> list[Probe]:
    """Return what a sidecar sends to this app."""
    own = (("content-type", JSON), ("dapr-app-id", frozen.app_id))
    found = [
        Probe(HttpRequest("GET", "/healthz"), "the health probe"),
        Probe(HttpRequest("GET", "/dapr/config", own), "the app's configuration"),
        Probe(HttpRequest("GET", "/dapr/subscribe", own), "the app's subscriptions"),
    ]
    for handler in frozen.handlers:
        if not handler.path:  # the app fetches that work itself
            continue
        path, of = handler.path, f"{handler.kind} '{handler.name}'"
        if handler.kind in {"binding", "cron"}:
            found.append(Probe(HttpRequest("OPTIONS", path), f"the discovery of {of}"))
        headers = (("content-type", JSON),)
        body = HttpRequest(handler.method, path, headers, _BODIES.get(handler.method, b"{}"))
        found.append(Probe(body, f"deliveries to {of}", handler.kind == "invoke"))
    return found


async def blocked(loaded: Loaded, frozen: AppFrozen, token: str) -> list[str]:
    """Send every probe through the whole application; return one line for each that is stopped."""
    channel = AsgiChannel(loaded.asgi, app_token=token)
    problems = []
    for probe in probes(frozen):
        outcome = await _send(channel, probe.request)
        if not _arrived(outcome, asks=probe.invokes):
            blocker = await _blocker(loaded, probe.request, token)
            problems.append(
                f"{probe.request.method} {probe.request.target} ({probe.purpose}) is stopped by "
                f"{blocker}: {_said(outcome)}"
            )
    return problems


async def _send(channel: AsgiChannel, request: HttpRequest) -> HttpResponse | str:
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            return await channel.send(request)
    except AppUnreachable as error:
        return str(error)
    except TimeoutError:
        return f"no answer within {PROBE_SECONDS:g} s"


def _arrived(outcome: HttpResponse | str, *, asks: bool = False) -> bool:
    """Whether a probe came through; ``asks`` is true where callers may be asked who they are."""
    if isinstance(outcome, str):
        return False
    succeeded = 200 <= outcome.status < 300  # noqa: PLR2004 - HTTP's own numbers
    challenged = asks and bool(outcome.header("www-authenticate"))
    return succeeded or challenged or bool(outcome.header(REACHED))


def _said(outcome: HttpResponse | str) -> str:
    return outcome if isinstance(outcome, str) else f"it answers {outcome.status}"


async def _blocker(loaded: Loaded, request: HttpRequest, token: str) -> str:
    """Find the middleware: the one without which the request arrives."""
    for name, rest in _stacks(loaded):
        if _arrived(await _send(AsgiChannel(rest, app_token=token), request)):
            return f"middleware '{name}'"
    return "a middleware or route of the host"


def _stacks(loaded: Loaded) -> list[tuple[str, ASGIApp]]:
    """Return, for each middleware from the outside in, the app without it and those around it."""
    around = list(layers(loaded.asgi))
    host = around[-1]
    route = next(each for each in loaded.app.routes if isinstance(each, DaprRoute))
    outer = [] if host is loaded.app else getattr(host, "user_middleware", [])
    wrappers = [(name_of(type(layer)), inner) for layer, inner in pairwise(around)]
    hosts = [
        (_name(each), Starlette(routes=[route], middleware=outer[index + 1 :]))
        for index, each in enumerate(outer)
    ]
    own = [
        (_name(each), Starlette(routes=[DaprRoute(route.table, route.middleware[index + 1 :])]))
        for index, each in enumerate(route.middleware)
    ]
    return [*wrappers, *hosts, *own]


def _name(middleware: Middleware) -> str:
    return name_of(middleware.kwargs.get("dispatch") or middleware.cls)
