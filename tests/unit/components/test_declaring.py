"""Declarations of an app: environments, names that are taken, and what may have been forgotten."""

import msgspec
import pytest

from daprflow import AppDefinitionError, DaprFlow, Router
from daprflow.components import (
    Declarations,
    DurablePubSub,
    InMemoryState,
    Mtls,
    RedisPubSub,
    RedisState,
    SqliteState,
    Tracing,
    secret,
)


def problems_of(app: DaprFlow) -> tuple[str, ...]:
    """What an app is told when it freezes."""
    with pytest.raises(AppDefinitionError) as caught:
        app.freeze()
    return tuple(caught.value.problems)


def types_in(app: DaprFlow, env: str | None) -> dict[str, str]:
    """The types of an environment's components by name."""
    return {each.name: each.type for each in app.declared(env).components}


def test_an_environment_has_what_names_it_and_what_names_none() -> None:
    """One name may be declared once for each environment."""
    app, router = DaprFlow("shop"), Router()
    app.component(SqliteState("statestore", connection_string="x.db"), env=("dev", "test"))
    app.component(RedisState("statestore", redis_host="r:6379"), env="prod")
    router.component(DurablePubSub("pubsub"))
    app.include(router)
    assert types_in(app, "dev") == {"statestore": "state.sqlite", "pubsub": "pubsub.daprflow"}
    assert types_in(app, "prod") == {"statestore": "state.redis", "pubsub": "pubsub.daprflow"}
    assert types_in(app, None) == {"pubsub": "pubsub.daprflow"}


def test_a_component_is_what_declaring_it_returns() -> None:
    """Its name can be used where a name is taken."""
    app = DaprFlow("shop")
    store = app.component(InMemoryState("statestore"))
    assert store.name == "statestore"


@pytest.mark.parametrize("env", [None, "prod", ("prod", "dev")])
def test_a_name_is_taken_within_an_environment(env: str | tuple[str, ...] | None) -> None:
    """What is for every environment is for each."""
    app = DaprFlow("shop")
    app.component(InMemoryState("statestore"), env="prod")
    app.component(RedisState("statestore", redis_host="r"), env=env)
    (problem,) = problems_of(app)
    assert f"component 'statestore' ({__name__}:" in problem
    assert "already for environment 'prod'; keep one of them" in problem


def test_components_of_different_apps_may_share_a_name() -> None:
    """As in files, scopes that do not meet keep them apart."""
    app = DaprFlow("shop")
    app.component(InMemoryState("statestore", scopes=("shop",)))
    app.component(InMemoryState("statestore", scopes=("pricing",)))
    assert len(app.declared().components) == 2


@pytest.mark.parametrize("env", ["", (), ("dev", ""), 3])
def test_an_environment_has_a_name(env: object) -> None:
    """Nothing else is taken for one."""
    app = DaprFlow("shop")
    if env == 3:
        env = (3,)
    app.component(InMemoryState("statestore"), env=env)  # type: ignore[arg-type]
    (problem,) = problems_of(app)
    assert "'env' takes the name of an environment" in problem


def test_one_access_policy_and_one_configuration_count() -> None:
    """A second one for the same environment is a mistake."""
    app = DaprFlow("shop")
    app.access_policy()
    app.access_policy(env="prod")
    app.sidecar_configuration(tracing=Tracing(), env="prod")
    app.sidecar_configuration(mtls=Mtls(), env="prod")
    first, second = problems_of(app)
    assert "the access policy" in first
    assert "the sidecar configuration" in second


def test_a_handler_without_its_component_is_told_of_others() -> None:
    """A component that is declared elsewhere may have been forgotten here."""
    app = DaprFlow("shop")
    app.component(RedisPubSub("pubsub", redis_host="r"), env="prod")

    @app.topic("pubsub", "orders", once="inbox")
    async def on_order(order: str) -> None:
        pass

    app.component(InMemoryState("inbox"), env=("dev", "prod"))
    (warning,) = app.declared("dev").warnings
    assert warning == (
        f"topic handler 'on_order' ({__name__}:{on_order.__code__.co_firstlineno}) uses component "
        "'pubsub', which is declared for 'prod' only, and not for 'dev'"
    )
    assert app.declared("prod").warnings == ()


def test_what_is_declared_nowhere_may_be_in_files() -> None:
    """Then nothing is said of it."""
    app = DaprFlow("shop")

    @app.topic("pubsub", "orders")
    async def on_order(order: str) -> None:
        pass

    assert app.declared("dev") == Declarations("dev")


def test_a_secret_store_of_another_environment_is_told() -> None:
    """The cluster's own store is always there."""
    app = DaprFlow("shop")
    app.component(InMemoryState("vault"), env="dev")
    app.component(RedisPubSub("a", redis_host="r", redis_password=secret("vault", "x")), env="prod")
    app.component(
        RedisPubSub("b", redis_host="r", redis_password=secret("kubernetes", "x")), env="prod"
    )
    (warning,) = app.declared("prod").warnings
    assert "takes secrets from 'vault', which is declared for 'dev' only" in warning


def test_an_environment_that_nobody_names_is_told() -> None:
    """Its name may be a slip."""
    app = DaprFlow("shop")
    app.component(InMemoryState("x"), env="prod")
    assert app.declared("prdo").warnings == (
        "nothing is declared for environment 'prdo'; there are 'prod'",
    )


def test_declarations_come_before_the_freeze() -> None:
    """The sidecar has read them after it."""
    app = DaprFlow("shop")
    app.freeze()
    with pytest.raises(AppDefinitionError, match="comes too late"):
        app.component(InMemoryState("x"))


def test_declarations_cross_a_pipe() -> None:
    """The supervisor reads from the app's process what it declares."""
    app = DaprFlow("shop")
    app.component(RedisPubSub("pubsub", redis_host="r", redis_password=secret("vault", "x")))
    app.sidecar_configuration(tracing=Tracing(sampling_rate=0.5), features={"HotReload": False})
    app.access_policy()
    declared = app.declared("dev")
    sent = msgspec.json.encode(declared)
    assert msgspec.json.decode(sent, type=Declarations) == declared
