"""What is looked at in an app: its sidecar, what its providers made, and its streams."""

import logging
import os
from collections.abc import Callable, Collection, Iterable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

from daprflow.handlers.registration import BindingOptions, CronOptions
from daprflow.health.checks import ping_checks, sidecar_check
from daprflow.health.names import names_of
from daprflow.health.paths import hidden
from daprflow.health.report import HealthStatus, PartHealth
from daprflow.settings import Settings

if TYPE_CHECKING:
    from daprflow.app import DaprFlow
    from daprflow.client.client import Client
    from daprflow.handlers.compile import Blueprint

logger = logging.getLogger(__name__)


def looked_after(
    app: "DaprFlow", host: Any, blueprint: "Blueprint", client: "Client", settings: Settings
) -> AbstractAsyncContextManager[None]:
    """Return what is entered when an app has started, and left when it ends.

    Args:
        app: the app.
        host: the application that it is installed into; itself where there is none.
        blueprint: the app's plan.
        client: the app's.
        settings: the app's, as they are now.

    Raises:
        SettingsError: a variable of the environment holds something that cannot be used.
    """
    health = app.health
    health.configure(os.environ)
    if host is not app:
        for warning in hidden(getattr(getattr(host, "router", None), "routes", ())):
            logger.warning("%s", warning)
    seconds = health.settings.check_timeout
    checks = [
        sidecar_check(client, seconds, _components(blueprint)),
        *ping_checks(blueprint.container.values, seconds),
    ]
    registrations, _ = app.collect()
    return health.live(
        names_of(registrations), checks, _streams(app, blueprint, client), settings.health_timeout
    )


def _components(blueprint: "Blueprint") -> Collection[str]:
    """Return the names of the components that handlers were declared for."""
    names = {plan.subscription.pubsubname for plan in blueprint.topics}
    names |= {plan.store for plan in blueprint.configurations}
    for route in blueprint.routes:
        options = route.handler.registration.options
        if isinstance(options, BindingOptions | CronOptions):
            names.add(options.name)
    return names


def _streams(
    app: "DaprFlow", blueprint: "Blueprint", client: "Client"
) -> Callable[[], Iterable[PartHealth]]:
    def parts() -> Iterable[PartHealth]:
        if blueprint.work is not None:
            yield _stream("workflows", HealthStatus.DOWN, connected=app.at_work)
        for each in client.subscriptions:
            yield _stream(repr(each), HealthStatus.DEGRADED, connected=each.connected)
        for store, failing in app.feed.failing():
            yield _stream(
                f"configuration of '{store}'", HealthStatus.DEGRADED, connected=not failing
            )

    return parts


def _stream(name: str, worst: HealthStatus, *, connected: bool) -> PartHealth:
    if connected:
        return PartHealth("stream", name, HealthStatus.READY)
    return PartHealth("stream", name, worst, "nothing comes from the sidecar; it is asked again")
