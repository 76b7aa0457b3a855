import msgspec

from daprflow.manifests.scaling import scaling
from daprflow.manifests.triggers import triggers_of
from daprflow.protocol.documents import Subscription
from daprflow.protocol.resources import ComponentResource, SecretKeyRef
from daprflow.protocol.subscription_resource import SubscriptionResource
from tests.helpers.manifest_models import app, component, model, settings

PASSWORD = SecretKeyRef("broker", "password")


def test_kafka_is_asked_for_the_lag_of_the_apps_group() -> None:
    """The consumer group is the app's id unless the component names another."""
    own = app("shop", "broker/orders")
    given = component("broker", "pubsub.kafka", brokers="k:9092", saslPassword=PASSWORD)
    (found,) = triggers_of(own, model(own, components=(given,))).triggers
    assert found.type == "kafka"
    assert dict(found.metadata)["consumerGroup"] == "shop"
    assert dict(found.metadata)["topic"] == "orders"
    assert found.secrets == (("password", PASSWORD),)
    named = component("broker", "pubsub.kafka", brokers="k:9092", consumerGroup="us")
    (found,) = triggers_of(own, model(own, components=(named,))).triggers
    assert dict(found.metadata)["consumerGroup"] == "us"


def test_redis_is_asked_for_the_lag_of_its_stream() -> None:
    """A stream has the topic's name and its group the app's id."""
    own = app("shop", "broker/orders", given=settings(scaling={"by": "lag", "lag": 7}))
    given = component("broker", "pubsub.redis", redisHost="r:6379", redisDB="2", enableTLS="true")
    (found,) = triggers_of(own, model(own, components=(given,))).triggers
    assert found.type == "redis-streams"
    assert dict(found.metadata) == {
        "address": "r:6379",
        "stream": "orders",
        "consumerGroup": "shop",
        "lagCount": "7",
        "databaseIndex": "2",
        "enableTLS": "true",
    }


def test_rabbitmq_is_asked_for_the_length_of_its_queue() -> None:
    """The queue is called after group and topic, as the component calls it, or as it is told to."""
    own = app("shop", "broker/orders")
    given = component("broker", "pubsub.rabbitmq", hostname="mq", password=PASSWORD)
    (found,) = triggers_of(own, model(own, components=(given,))).triggers
    assert dict(found.metadata)["queueName"] == "shop-orders"
    assert dict(found.metadata)["host"] == "amqp://mq/"
    whole = component("broker", "pubsub.rabbitmq", connectionString=PASSWORD)
    (found,) = triggers_of(own, model(own, components=(whole,))).triggers
    assert found.secrets == (("host", PASSWORD),)
    assert "host" not in dict(found.metadata)


def test_subscriptions_of_files_count_as_well() -> None:
    """A topic that a file subscribes the app to is looked at, too, and none twice."""
    own = app("shop", "broker/orders")
    document = Subscription("broker", "returns")
    mine = SubscriptionResource("a", document, ("shop",))
    other = SubscriptionResource("b", Subscription("broker", "others"), ("billing",))
    given = component("broker", "pubsub.redis", redisHost="r:6379")
    whole = model(own, components=(given,))
    whole = type(whole)(whole.apps, whole.components, (mine, other))
    topics = [dict(each.metadata)["stream"] for each in triggers_of(own, whole).triggers]
    assert topics == ["orders", "returns"]


def test_what_nobody_can_look_at_is_noted() -> None:
    """A broker that KEDA is not told of, and secrets where it does not look, are said."""
    own = app("shop", "broker/orders", "far/x")
    given = (
        component("broker", "pubsub.azure.servicebus.topics"),
        msgspec.structs.replace(
            component("far", "pubsub.kafka", brokers="k:9092", saslPassword=PASSWORD),
            secret_store="vault",
        ),
    )
    notes = triggers_of(own, model(own, components=given)).notes
    assert any("(pubsub.azure.servicebus.topics) is not looked at" in each for each in notes)
    assert any("'vault', where KEDA does not look" in each for each in notes)


def kinds(own_settings: dict[str, object], *components: ComponentResource) -> list[str]:
    """Return what an app is scaled by."""
    own = app("shop", "broker/orders", given=settings(scaling=own_settings))
    found = scaling(own, model(own, components=components))
    triggers = [t["type"] for tree in found for t in tree["spec"].get("triggers", ())]
    return [str(tree["kind"]) for tree in found] + triggers


def test_an_app_is_scaled_by_what_its_settings_say() -> None:
    """By nothing, by the cluster's autoscaler, or by KEDA with cron and processor time beside."""
    broker = component("broker", "pubsub.redis", redisHost="r:6379")
    cron = {"start": "0 8 * * *", "end": "0 18 * * *", "replicas": 4}
    assert kinds({"by": "none"}, broker) == []
    assert kinds({"by": "cpu"}, broker) == ["HorizontalPodAutoscaler"]
    assert kinds({"by": "lag"}, broker) == ["ScaledObject", "redis-streams"]
    assert kinds({"by": "lag", "cron": [cron], "cpu": 70}, broker) == [
        "ScaledObject",
        "redis-streams",
        "cron",
        "cpu",
    ]
    assert kinds({"by": "lag"}) == ["ScaledObject", "cpu"]
