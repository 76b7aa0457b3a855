"""A frozen app's routes, described for people and tools."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from daprflow.addresses import type_name
from daprflow.handlers.compile import Route
from daprflow.handlers.own_workflows import OwnActivityHandle, OwnWorkflow
from daprflow.handlers.registration import (
    ActorOptions,
    ConfigurationOptions,
    CronOptions,
    JobOptions,
    Options,
    Registration,
    TopicOptions,
    name_of,
)

Handle = OwnWorkflow[Any, Any] | OwnActivityHandle[Any, Any]


@dataclass(frozen=True, slots=True)
class RouteInfo:
    """One handler as ``daprflow routes`` prints it.

    Attributes:
        kind: "topic", "binding", "cron", "job", "configuration", "invoke", "actor", "workflow" or
            "activity".
        method: the verb the sidecar uses; empty where the app fetches its work over gRPC.
        path: percent-encoded, as the sidecar calls it; empty likewise.
        name: the address inside its kind, such as "pubsub/orders"; a workflow's with its version.
        handler: the function's name.
        source: its ``module:line``.
        payload: the payload's type as text; empty where it takes none.
        options: what the decorator says besides, as text.
    """

    kind: str
    method: str
    path: str
    name: str
    handler: str
    source: str
    payload: str
    options: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CronInfo:
    """A cron binding a handler waits for: a ``bindings.cron`` component is made of it."""

    name: str
    schedule: str


def describe(routes: Iterable[Route]) -> tuple[RouteInfo, ...]:
    """Describe compiled routes in the order of declaration."""
    return tuple(
        RouteInfo(
            kind=route.kind.value,
            method=route.method,
            path=route.path,
            name=route.name,
            handler=route.handler.registration.name,
            source=str(route.handler.registration.source),
            payload=route.payload,
            options=_said(route.handler.registration),
        )
        for route in routes
    )


def describe_work(handles: Iterable[Handle]) -> tuple[RouteInfo, ...]:
    """Describe workflows and activities in the order of declaration."""
    return tuple(
        RouteInfo(
            kind=handle.registration.kind.value,
            method="",
            path="",
            name=_named(handle),
            handler=handle.registration.name,
            source=str(handle.registration.source),
            payload="" if handle.takes is type(None) else type_name(handle.takes),
            options=_said(handle.registration),
        )
        for handle in handles
    )


def _named(handle: Handle) -> str:
    if not isinstance(handle, OwnWorkflow):
        return handle.name
    said = [f"version {handle.version}"] if handle.version else []
    said += ["default"] if handle.is_default else []
    return f"{handle.name} ({', '.join(said)})" if said else handle.name


def crons_of(routes: Iterable[Route]) -> tuple[CronInfo, ...]:
    """Return the schedules of cron handlers."""
    found = (route.handler.registration.options for route in routes)
    return tuple(
        CronInfo(each.name.strip("/"), each.schedule)
        for each in found
        if isinstance(each, CronOptions)
    )


def _said(registration: Registration) -> dict[str, str]:
    """Return what a decorator was given, as text; what is left to a default is not there."""
    own = registration.own
    limit, once = own.limit, own.once
    given = {
        "max_concurrency": getattr(limit, "most", limit),
        "once": getattr(once, "store", once),
        "interceptors": ", ".join(map(name_of, own.interceptors)) or None,
        "middleware": ", ".join(name_of(each.cls) for each in own.middleware) or None,
    }
    around = {name: str(value) for name, value in given.items() if value is not None}
    return _options(registration.options) | around


def _options(options: Options) -> dict[str, str]:
    if isinstance(options, CronOptions):
        return {"schedule": options.schedule}
    if isinstance(options, ConfigurationOptions):
        return {} if options.default is None else {"default": repr(options.default)}
    if isinstance(options, JobOptions):
        return {"schedule": options.schedule} if options.schedule else {}
    if isinstance(options, ActorOptions):
        said = {"idle": options.idle, "drain": options.drain, "reentrant": options.reentrant}
        return {name: str(value) for name, value in said.items() if value is not None}
    if not isinstance(options, TopicOptions):
        return {}
    given = {
        "match": options.match,
        "dead_letter": options.dead_letter,
        "max_messages": options.max_messages,
        "max_wait": options.max_wait,
        "raw": options.raw,
        "metadata": options.metadata,
    }
    return {name: str(value) for name, value in given.items() if value is not None}
