"""What KEDA looks at to know how much waits in an app's topics, by the type of their component."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from daprflow.manifests.model import AppModel, Model
from daprflow.protocol.documents import Subscription
from daprflow.protocol.resources import ComponentResource, MetadataItem, SecretKeyRef

_CLUSTER = "kubernetes"
_MECHANISMS = {"SHA-256": "scram_sha256", "SHA-512": "scram_sha512", "PLAINTEXT": "plaintext"}
_FALSE = frozenset({"", "false", "0", "n", "no", "f", "off"})


@dataclass(frozen=True, slots=True)
class Trigger:
    """One trigger.

    Attributes:
        name: of the component that it looks at.
        secrets: what comes from secrets of the cluster: KEDA's parameter, and the secret.
    """

    name: str
    type: str
    metadata: tuple[tuple[str, str], ...]
    secrets: tuple[tuple[str, SecretKeyRef], ...] = ()


@dataclass(frozen=True, slots=True)
class Triggers:
    """Triggers of an app; ``notes`` say which of its topics have none, one sentence each."""

    triggers: tuple[Trigger, ...]
    notes: tuple[str, ...]


class _Said:
    """The metadata of a component, whatever the case of their names."""

    def __init__(self, component: ComponentResource) -> None:
        self.component = component
        self._items = {item.name.lower(): item for item in component.metadata}

    def item(self, *names: str) -> MetadataItem | None:
        """Return the first of some entries that is there."""
        return next((self._items[n.lower()] for n in names if n.lower() in self._items), None)

    def text(self, *names: str) -> str:
        """Return the value of the first of them; empty where it comes from elsewhere."""
        item = self.item(*names)
        return (item.value or "") if item is not None else ""

    def is_set(self, name: str) -> bool:
        """Whether a truth value is given, and is true."""
        return self.text(name).lower() not in _FALSE

    def secrets(self, parameters: Mapping[str, str]) -> tuple[tuple[str, SecretKeyRef], ...]:
        """Return, for KEDA's parameters, the secrets that entries refer to."""
        found = ((parameter, self.item(name)) for parameter, name in parameters.items())
        return tuple(
            (parameter, item.secret_key_ref)
            for parameter, item in found
            if item is not None and item.secret_key_ref is not None
        )


def triggers_of(app: AppModel, model: Model) -> Triggers:
    """Return the triggers of every topic that an app subscribes to."""
    components = {each.name: each for each in model.components_of(app.app_id)}
    triggers, notes = [], []
    for subscription in _subscriptions(app, model):
        component = components.get(subscription.pubsubname)
        if component is None:
            continue
        make = _MAKERS.get(component.type)
        if make is None:
            notes.append(
                f"app '{app.app_id}' scales by lag, but what waits in topic "
                f"'{subscription.topic}' of '{component.name}' ({component.type}) is not looked "
                f"at; there are {', '.join(_MAKERS)}"
            )
            continue
        said = _Said(component)
        triggers.append(make(said, subscription, app))
        if not triggers[-1].type.startswith("redis") and said.text("saslUsername", "username"):
            notes.append(
                f"the user name of '{component.name}' is no secret, and KEDA takes it from one "
                f"alone; have it in a secret, too, for app '{app.app_id}' to scale"
            )
        if component.secret_store not in {"", _CLUSTER} and triggers[-1].secrets:
            notes.append(
                f"the secrets of '{component.name}' lie in '{component.secret_store}', where KEDA "
                f"does not look; have them in the cluster, too, for app '{app.app_id}' to scale"
            )
    return Triggers(tuple(triggers), tuple(dict.fromkeys(notes)))


def _subscriptions(app: AppModel, model: Model) -> list[Subscription]:
    """Return what an app subscribes to, by code and by files."""
    files = (e.document for e in model.subscriptions if not e.scopes or app.app_id in e.scopes)
    found = {(e.pubsubname, e.topic): e for e in (*files, *app.facts.subscriptions)}
    return [found[key] for key in sorted(found)]


def _group(said: _Said, app: AppModel) -> str:
    return (said.text("consumerID") or app.app_id).replace("{appID}", app.app_id)


def _kafka(said: _Said, subscription: Subscription, app: AppModel) -> Trigger:
    metadata = {
        "bootstrapServers": said.text("brokers"),
        "consumerGroup": said.text("consumerGroup") or _group(said, app),
        "topic": subscription.topic,
        "lagThreshold": str(app.settings.scaling.lag),
        "offsetResetPolicy": "earliest" if said.text("initialOffset") == "oldest" else "latest",
        "tls": "disable" if said.is_set("disableTls") else "",
    }
    secrets = said.secrets({"username": "saslUsername", "password": "saslPassword", "ca": "caCert"})
    if said.item("saslPassword") is not None:
        metadata["sasl"] = _MECHANISMS.get(said.text("saslMechanism").upper(), "plaintext")
        metadata["tls"] = metadata["tls"] or "enable"
    return _trigger(said, "kafka", metadata, secrets)


def _redis(said: _Said, subscription: Subscription, app: AppModel) -> Trigger:
    metadata = {
        "address": said.text("redisHost"),
        "stream": subscription.topic,
        "consumerGroup": _group(said, app),
        "lagCount": str(app.settings.scaling.lag),
        "databaseIndex": said.text("redisDB"),
        "enableTLS": "true" if said.is_set("enableTLS") else "",
        "username": said.text("redisUsername"),
    }
    secrets = said.secrets({"username": "redisUsername", "password": "redisPassword"})
    kind = "redis-cluster-streams" if said.text("redisType") == "cluster" else "redis-streams"
    return _trigger(said, kind, metadata, secrets)


def _rabbitmq(said: _Said, subscription: Subscription, app: AppModel) -> Trigger:
    queue = subscription.metadata.get("queueName") or f"{_group(said, app)}-{subscription.topic}"
    host = said.text("connectionString")
    if not host and said.text("hostname"):
        host = f"{said.text('protocol') or 'amqp'}://{said.text('hostname')}/"
    metadata = {
        "protocol": "amqp",
        "queueName": queue,
        "mode": "QueueLength",
        "value": str(app.settings.scaling.lag),
        "host": host,
    }
    secrets = said.secrets(
        {"host": "connectionString", "username": "username", "password": "password"}
    )
    return _trigger(said, "rabbitmq", metadata, secrets)


def _trigger(
    said: _Said,
    kind: str,
    metadata: Mapping[str, str],
    secrets: tuple[tuple[str, SecretKeyRef], ...],
) -> Trigger:
    given = tuple((name, value) for name, value in metadata.items() if value)
    return Trigger(said.component.name, kind, given, secrets)


_MAKERS: Mapping[str, Callable[[_Said, Subscription, AppModel], Trigger]] = {
    "pubsub.kafka": _kafka,
    "pubsub.redis": _redis,
    "pubsub.rabbitmq": _rabbitmq,
}
