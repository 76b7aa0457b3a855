"""A use of every model of a component and of a Configuration that mypy accepts in strict mode."""

from datetime import timedelta

from daprflow import DaprFlow
from daprflow.components import (
    ApiLogging,
    AzureKeyVault,
    Caller,
    Cron,
    EnvRef,
    HashicorpVault,
    HttpBinding,
    InMemoryPubSub,
    InMemoryState,
    KafkaBinding,
    KubernetesSecrets,
    LocalEnvSecrets,
    LocalFileSecrets,
    Metrics,
    MongoState,
    Mtls,
    Operation,
    PostgresBinding,
    PostgresConfiguration,
    RabbitMQBinding,
    RabbitMQPubSub,
    RedisConfiguration,
    RedisLock,
    RedisPubSub,
    SecretScope,
    SqliteState,
    env_ref,
    secret,
)

app = DaprFlow("shop")

user: EnvRef = env_ref("USER_NAME")
password = secret("vault", "login", "password")
vault = app.component(HashicorpVault("vault", vault_token=env_ref("VAULT_TOKEN")), env="prod")
app.component(AzureKeyVault("keys", vault_name="shop", azure_client_id=user))
app.component(KubernetesSecrets("cluster", default_namespace="shop"))
app.component(LocalFileSecrets("file", secrets_file="secrets.json", multi_valued=True))
app.component(LocalEnvSecrets("environment", prefix="SHOP_"), env=("dev", "test"))

app.component(InMemoryState("quick", actor_state_store=True))
app.component(SqliteState("kept", connection_string="data.db", busy_timeout=timedelta(seconds=1)))
app.component(MongoState("documents", host="mongo", username=user, password=password))

app.component(InMemoryPubSub("events", protected_topics=("orders",)))
app.component(RedisPubSub("streams", redis_host="r:6379", publishing_scopes={"shop": ("orders",)}))
app.component(RabbitMQPubSub("queues", connection_string=password, ttl=timedelta(days=1)))

app.component(Cron("sweep", schedule="@every 15m", direction="input"))
app.component(HttpBinding("sms", url="https://sms.example", response_timeout=timedelta(seconds=2)))
app.component(KafkaBinding("feed", brokers="kafka:9092", auth_type="none", topics=("prices",)))
app.component(RabbitMQBinding("mail", host=password, queue_name="mail", durable=True))
app.component(PostgresBinding("reports", host="pg", user=user, password=password, port=5432))

app.component(RedisConfiguration("limits", redis_host="r:6379"))
app.component(PostgresConfiguration("switches", table="switches", connection_string=password))
app.component(RedisLock("lockstore", redis_host="r:6379", redis_password=password))

app.access_policy(Caller("website", allow=[Operation("/orders/*", ("GET",)), "/health"]))
app.sidecar_configuration(
    metrics=Metrics(path_matching=("/orders/{id}",), latency_buckets=(1, 2.5)),
    mtls=Mtls(workload_cert_ttl=timedelta(hours=1)),
    api_logging=ApiLogging(omit_health_checks=True),
    secret_scopes=[SecretScope(vault, "deny", ("login",)), SecretScope("file")],
    env="prod",
)
