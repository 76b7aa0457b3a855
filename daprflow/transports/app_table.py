"""What an app answers, put into its table: Dapr's documents, probes, handlers and actors."""

from dataclasses import dataclass
from urllib.parse import unquote

import msgspec

from daprflow.actors.defaults import ActorDefaults
from daprflow.client.feeding import ConfigurationFeed
from daprflow.handlers.compile import Blueprint, Route
from daprflow.handlers.registration import Kind
from daprflow.health.service import AppHealth
from daprflow.protocol.configuration import PREFIX
from daprflow.protocol.documents import AppConfig
from daprflow.transports import asgi
from daprflow.transports.invoke_routes import Endpoint

_GROUPED = (Kind.CONFIGURATION, Kind.ACTOR)
"""What has no route a handler: items are told to the feed, and actors have one endpoint."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What an app answers besides what its handlers do.

    Attributes:
        gate: what every delivery passes.
        feed: is told of items of configuration.
        health: answers probes.
        actor_defaults: how the runtime treats the actors.
    """

    gate: asgi.Gate
    feed: ConfigurationFeed
    health: AppHealth
    actor_defaults: ActorDefaults

    def fill(self, table: asgi.Table, blueprint: Blueprint) -> None:
        """Put every endpoint of a plan into an empty table."""
        self._put_documents(table, blueprint)
        told = asgi.handler_endpoint("configuration", "", self.feed.deliver, self.gate)
        table.add_prefix(PREFIX, told)
        for method in ("GET", "HEAD"):
            table.add(method, "/healthz", asgi.health_endpoint(self.health.alive))
            table.add(method, "/readyz", asgi.health_endpoint(self.health.answer))
        discovered = asgi.static_endpoint(b"{}", self.gate)
        for route in blueprint.routes:
            if route.kind not in _GROUPED:
                self._put(table, route, discovered)
        if blueprint.actors:
            self._put_actors(table, blueprint)

    def _put_documents(self, table: asgi.Table, blueprint: Blueprint) -> None:
        encode, gate = msgspec.json.encode, self.gate

        def started() -> None:
            """Ask anew for what a sidecar that was away may have missed."""
            self.feed.pushes.sidecar_started()
            for each in blueprint.actors:
                each.type.host.sidecar_started()

        config = asgi.static_endpoint(encode(self._config(blueprint)), gate, started)
        subscriptions = [plan.subscription for plan in blueprint.topics]
        table.add("GET", "/dapr/config", config)
        table.add("GET", "/dapr/subscribe", asgi.static_endpoint(encode(subscriptions), gate))

    def _put(self, table: asgi.Table, route: Route, discovered: Endpoint) -> None:
        call = route.handler.call
        endpoint = asgi.handler_endpoint(route.kind.value, route.name, call, self.gate)
        endpoint = asgi.stacked(endpoint, route.middleware)
        if route.kind is Kind.TOPIC:
            table.add_topic(route.path, endpoint)
            return
        if route.kind is Kind.JOB:
            table.add_job(route.path, endpoint)
            return
        path = unquote(route.path)
        if route.kind is Kind.INVOKE:
            literal = tuple(path.strip("/").split("/"))
            parts = literal if route.template is None else route.template.parts
            table.add_invoke(route.method, parts, endpoint)
            return
        table.add("POST", path, endpoint)
        table.add("OPTIONS", path, discovered)

    def _put_actors(self, table: asgi.Table, blueprint: Blueprint) -> None:
        from daprflow.transports.actor_routes import actor_endpoint  # noqa: PLC0415 - few have any

        types = {each.shape.kind: each.call for each in blueprint.actors}
        hosts = {each.shape.kind: each.type.host for each in blueprint.actors}
        table.add_actors(
            [f"/actors/{kind}" for kind in types],
            actor_endpoint(types, hosts, self.gate, table.unknown),
        )

    def _config(self, blueprint: Blueprint) -> AppConfig:
        """Return what the runtime is told at start-up."""
        if not blueprint.actors:
            return AppConfig()
        from daprflow.handlers.actors import app_config, is_reentrant  # noqa: PLC0415 - likewise

        for each in blueprint.actors:
            each.type.host.is_reentrant = is_reentrant(each, self.actor_defaults)
        return app_config(blueprint.actors, self.actor_defaults)
