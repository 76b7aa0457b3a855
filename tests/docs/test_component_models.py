"""The page about the models of components says what they are."""

from tests.docs.component_models import PAGE, models, page


def test_the_page_is_made_from_the_models() -> None:
    """``python -m tests.docs.component_models`` writes it; each field has its sentence."""
    assert PAGE.read_text(encoding="utf-8") == page()


def test_every_family_that_teams_run_is_there() -> None:
    """Brokers, stores, secrets, bindings, configuration and locks, by Dapr's types."""
    assert {model.TYPE for model in models()} == {
        "bindings.cron",
        "bindings.http",
        "bindings.kafka",
        "bindings.postgresql",
        "bindings.rabbitmq",
        "configuration.postgresql",
        "configuration.redis",
        "lock.redis",
        "pubsub.daprflow",
        "pubsub.in-memory",
        "pubsub.kafka",
        "pubsub.rabbitmq",
        "pubsub.redis",
        "secretstores.azure.keyvault",
        "secretstores.hashicorp.vault",
        "secretstores.kubernetes",
        "secretstores.local.env",
        "secretstores.local.file",
        "state.in-memory",
        "state.mongodb",
        "state.postgresql",
        "state.redis",
        "state.sqlite",
    }
