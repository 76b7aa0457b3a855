"""A frozen app's routes, described for people and tools."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from daprflow.handlers.compile import Route
from daprflow.handlers.registration import (
    ActorOptions,
    ConfigurationOptions,
    CronOptions,
    JobOptions,
    Options,
    TopicOptions,
)


@dataclass(frozen=True, slots=True)
class RouteInfo:
    """One handler as ``daprflow routes`` prints it.

    Attributes:
        kind: "topic", "binding", "cron", "job", "configuration", "invoke" or "actor".
        method: the verb the sidecar uses.
        path: percent-encoded, as the sidecar calls it.
        name: the address inside its kind, such as "pubsub/orders".
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
            options=_options(route.handler.registration.options),
        )
        for route in routes
    )


def crons_of(routes: Iterable[Route]) -> tuple[CronInfo, ...]:
    """Return the schedules of cron handlers."""
    found = (route.handler.registration.options for route in routes)
    return tuple(
        CronInfo(each.name.strip("/"), each.schedule)
        for each in found
        if isinstance(each, CronOptions)
    )


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
