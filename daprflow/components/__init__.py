"""Dapr's components, resiliency policies and access policies as typed values."""

from typing import TYPE_CHECKING

from daprflow.late import late as _late

if TYPE_CHECKING:
    from daprflow.components.access import Caller, Operation
    from daprflow.components.bindings import Cron, HttpBinding
    from daprflow.components.configuration import (
        ApiLogging,
        ApiRule,
        Metrics,
        Mtls,
        Otlp,
        SecretScope,
        Tracing,
    )
    from daprflow.components.declarations import Declarations
    from daprflow.components.kafka import KafkaBinding, KafkaPubSub
    from daprflow.components.local import DurablePubSub, InMemoryPubSub, InMemoryState, SqliteState
    from daprflow.components.model import Component
    from daprflow.components.mongodb import MongoState
    from daprflow.components.postgresql import PostgresBinding, PostgresConfiguration, PostgresState
    from daprflow.components.rabbitmq import RabbitMQBinding, RabbitMQPubSub
    from daprflow.components.redis import RedisConfiguration, RedisLock, RedisPubSub, RedisState
    from daprflow.components.resiliency import (
        ActorTarget,
        AppTarget,
        CircuitBreaker,
        ComponentTarget,
        Policies,
        Retries,
        Timeout,
    )
    from daprflow.components.secret_stores import (
        AzureKeyVault,
        HashicorpVault,
        KubernetesSecrets,
        LocalEnvSecrets,
        LocalFileSecrets,
    )
    from daprflow.components.values import EnvRef, Plain, Secret, SecretRef, Text, env_ref, secret

__all__ = [
    "ActorTarget",
    "ApiLogging",
    "ApiRule",
    "AppTarget",
    "AzureKeyVault",
    "Caller",
    "CircuitBreaker",
    "Component",
    "ComponentTarget",
    "Cron",
    "Declarations",
    "DurablePubSub",
    "EnvRef",
    "HashicorpVault",
    "HttpBinding",
    "InMemoryPubSub",
    "InMemoryState",
    "KafkaBinding",
    "KafkaPubSub",
    "KubernetesSecrets",
    "LocalEnvSecrets",
    "LocalFileSecrets",
    "Metrics",
    "MongoState",
    "Mtls",
    "Operation",
    "Otlp",
    "Plain",
    "Policies",
    "PostgresBinding",
    "PostgresConfiguration",
    "PostgresState",
    "RabbitMQBinding",
    "RabbitMQPubSub",
    "RedisConfiguration",
    "RedisLock",
    "RedisPubSub",
    "RedisState",
    "Retries",
    "Secret",
    "SecretRef",
    "SecretScope",
    "SqliteState",
    "Text",
    "Timeout",
    "Tracing",
    "env_ref",
    "secret",
]

_MODULES = {
    "access": ("Caller", "Operation"),
    "bindings": ("Cron", "HttpBinding"),
    "configuration": (
        "ApiLogging", "ApiRule", "Metrics", "Mtls", "Otlp", "SecretScope", "Tracing",
    ),
    "declarations": ("Declarations",),
    "kafka": ("KafkaBinding", "KafkaPubSub"),
    "local": ("DurablePubSub", "InMemoryPubSub", "InMemoryState", "SqliteState"),
    "model": ("Component",),
    "mongodb": ("MongoState",),
    "postgresql": ("PostgresBinding", "PostgresConfiguration", "PostgresState"),
    "rabbitmq": ("RabbitMQBinding", "RabbitMQPubSub"),
    "redis": ("RedisConfiguration", "RedisLock", "RedisPubSub", "RedisState"),
    "resiliency": (
        "ActorTarget", "AppTarget", "CircuitBreaker", "ComponentTarget", "Policies", "Retries",
        "Timeout",
    ),
    "secret_stores": (
        "AzureKeyVault", "HashicorpVault", "KubernetesSecrets", "LocalEnvSecrets",
        "LocalFileSecrets",
    ),
    "values": ("EnvRef", "Plain", "Secret", "SecretRef", "Text", "env_ref", "secret"),
}  # fmt: skip
__getattr__ = _late(
    globals(),
    {name: f"{__name__}.{module}" for module, names in _MODULES.items() for name in names},
)
