"""What may call an app's pods, and what they may call: nothing that nobody declared."""

import re
from collections.abc import Iterable, Iterator
from ipaddress import ip_network
from typing import Any

from daprflow.launcher.exits import Exit, LaunchError
from daprflow.manifests.endpoints import Endpoint, endpoint_of, endpoints_of, parse
from daprflow.manifests.model import AppModel, Model
from daprflow.manifests.objects import head, selector
from daprflow.protocol.configuration_tree import Tree

INTERNAL_PORT = 50002
"""Where sidecars call each other."""
_CONTROL_PLANE = (6500, 50001, 50005, 50006)
"""Of the pods of operator, sentry, placement and scheduler."""
_DNS = 53
_NODE_DNS = "169.254.20.10/32"
"""Where a node's own cache of names is found."""
_API_SERVER = (443, 6443)
_SERVICE = re.compile(r"(?:[^.]+\.)?[^.]+\.(?P<space>[^.]+)\.svc(?:\.[^.]+)*\.?")
"""A service of a cluster, or one of its pods: ``kafka-0.kafka.data.svc.cluster.local``."""
_NAMESPACE = "kubernetes.io/metadata.name"
_SIDECARS = {"matchLabels": {"dapr.io/sidecar-injected": "true"}}
_EVERYWHERE = ({"ipBlock": {"cidr": "0.0.0.0/0"}}, {"ipBlock": {"cidr": "::/0"}})


def network_policy(app: AppModel, model: Model) -> Tree:
    """Return the NetworkPolicy of an app.

    Raises:
        LaunchError: an address of the settings cannot be read.
    """
    return {
        **head("networking.k8s.io/v1", "NetworkPolicy", app),
        "spec": {
            "podSelector": {"matchLabels": selector(app)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": list(_ingress(app)),
            "egress": list(_egress(app, model)),
        },
    }


def unknown_addresses(app: AppModel, model: Model) -> list[str]:
    """Return one sentence for each component of which nobody knows where it connects to."""
    network = app.settings.network
    if not network.enabled or network.anywhere or network.egress:
        return []
    return [
        f"where component '{each.name}' ({each.type}) connects to is not known, so the "
        f"NetworkPolicy of app '{app.app_id}' does not let it; say so in 'network.egress'"
        for each in model.components_of(app.app_id)
        if not endpoints_of(each).known
    ]


def _ingress(app: AppModel) -> Iterator[Tree]:
    settings = app.settings
    if settings.sidecar.enabled:
        yield {"from": [_sidecars()], "ports": _tcp(INTERNAL_PORT)}
    if settings.network.app_from:
        yield {"from": _spaces(settings.network.app_from), "ports": _tcp(settings.port)}
    if settings.network.metrics_from:
        ports = {settings.port, *([settings.sidecar.metrics_port] if _has_sidecar(app) else [])}
        yield {"from": _spaces([settings.network.metrics_from]), "ports": _tcp(*sorted(ports))}


def _egress(app: AppModel, model: Model) -> Iterator[Tree]:
    network = app.settings.network
    if network.anywhere:
        yield {}
        return
    yield {
        "to": [{"namespaceSelector": {}}, {"ipBlock": {"cidr": _NODE_DNS}}],
        "ports": [{"port": _DNS, "protocol": "UDP"}, {"port": _DNS, "protocol": "TCP"}],
    }
    if _has_sidecar(app):
        yield {"to": _spaces([network.control_plane]), "ports": _tcp(*_CONTROL_PLANE)}
        yield {"to": [_sidecars()], "ports": _tcp(INTERNAL_PORT)}
    if app.settings.secrets:
        yield {"to": list(_EVERYWHERE), "ports": _tcp(*_API_SERVER)}
    yield from _outside(sorted({*_declared(app, model), *_named(network.egress)}))


def _declared(app: AppModel, model: Model) -> Iterator[Endpoint]:
    for component in model.components_of(app.app_id):
        yield from endpoints_of(component).found
    for each in model.http_endpoints:
        found = endpoint_of(each) if app.app_id in each.scopes else None
        if found is not None:
            yield found
    tracing = app.configuration.get("tracing") or {}
    for exporter in ("otel", "zipkin"):
        address = (tracing.get(exporter) or {}).get("endpointAddress")
        found = parse(str(address), 0) if address else None
        if found is not None:
            yield found


def _named(egress: Iterable[str]) -> Iterator[Endpoint]:
    for text in egress:
        host, _, port = text.rpartition(":")
        if not port.isdecimal() or not 0 < int(port) < 65536:  # noqa: PLR2004 - of ports
            raise LaunchError(
                f"'network.egress' has '{text}'; write 'host:port', 'network:port' or ':port'",
                Exit.USAGE,
            )
        yield Endpoint(host.strip("[]"), int(port))


def _outside(endpoints: Iterable[Endpoint]) -> Iterator[Tree]:
    """Yield a rule for each place, with all of its ports."""
    places: dict[str, tuple[list[Tree], list[int]]] = {}
    for each in endpoints:
        peers = _peers(each.host)
        places.setdefault(repr(peers), (peers, []))[1].append(each.port)
    for peers, ports in places.values():
        yield {"to": peers, "ports": _tcp(*sorted(set(ports)))}


def _peers(host: str) -> list[Tree]:
    """Return what a host is to a policy, which knows addresses and pods but no names."""
    try:
        return [{"ipBlock": {"cidr": str(ip_network(host, strict=False))}}]
    except ValueError:
        pass
    if host and "." not in host:
        return [{"podSelector": {}}]
    found = _SERVICE.fullmatch(host)
    return list(_EVERYWHERE) if found is None else _spaces([found["space"]])


def _has_sidecar(app: AppModel) -> bool:
    return app.settings.sidecar.enabled


def _sidecars() -> dict[str, Any]:
    return {"namespaceSelector": {}, "podSelector": _SIDECARS}


def _spaces(names: Iterable[str]) -> list[Tree]:
    return [{"namespaceSelector": {"matchLabels": {_NAMESPACE: name}}} for name in names]


def _tcp(*ports: int) -> list[Tree]:
    return [{"port": port, "protocol": "TCP"} for port in ports]
