"""What freezing an app says of its actors: mistakes, routes, and what the runtime is told."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from fastapi import FastAPI

from daprflow import (
    Actor,
    ActorDefaults,
    AppDefinitionError,
    DaprFlow,
    Part,
    Router,
    actor_method,
)
from daprflow.protocol.http import HttpRequest
from daprflow.testing import TestSidecar
from tests.helpers.actor_stage import hosting


class Needy(msgspec.Struct):
    name: str


class Db:
    """Something injected."""


class PlainActor(Actor[int]):
    async def up(self, by: int) -> int:
        self.state += by
        return self.state


class OtherActor(Actor[None]):
    async def ping(self) -> None: ...


def problems_of(*kinds: Any) -> str:
    """What freezing an app with these classes complains about."""
    app = DaprFlow("broken")
    for kind in kinds:
        app.actor(kind)
    with pytest.raises(AppDefinitionError) as caught:
        app.freeze()
    return str(caught.value)


def test_mistakes_are_told_together() -> None:  # noqa: C901 - it has one class per mistake
    """Every mistake of every actor is reported at freeze, with the class and its line."""

    class NoState(Actor):  # type: ignore[type-arg]  # the point
        async def up(self) -> None: ...

    class Required(Actor[Needy]):
        async def up(self) -> None: ...

    class Untyped(Actor[int]):
        async def up(self, by) -> None: ...  # type: ignore[no-untyped-def]  # noqa: ANN001 - the point

    class Several(Actor[int]):
        async def up(self, *by: int) -> None: ...

    class Injecting(Actor[int]):
        async def up(self, db: Db) -> None: ...

    class Unknown(Actor[int]):
        def __init__(self, db: Db) -> None:
            self.db = db

    class Yielding(Actor[int]):
        async def up(self) -> AsyncIterator[int]:
            yield 1

    class Named(Actor[int]):
        @actor_method("same")
        async def one(self) -> None: ...

        @actor_method("same")
        async def two(self) -> None: ...

    class Hidden(Actor[int]):
        @actor_method("Up")
        async def _up(self) -> None: ...

    class Twice(Actor[int]):
        first = Part(list[int], key="same")
        second = Part(list[int], key="same")

    class Reserved(Actor[int], actor_type="dapr.internal.x"): ...

    class Slashed(Actor[int], actor_type="a/b"): ...

    text = problems_of(
        NoState,
        Required,
        Untyped,
        Several,
        Injecting,
        Unknown,
        Yielding,
        Named,
        Hidden,
        Twice,
        Reserved,
        Slashed,
        Db,
    )
    for wanted in (
        "13 problems",
        "actor 'NoState' (tests.unit.actors.test_definitions:",
        "does not say the type of its state; write 'class NoState(Actor[Cart])'",
        "keeps 'Needy' under the key 'state', which cannot be made without arguments",
        "has the method 'up', which has the argument 'by' without a type",
        "has the method 'up', which takes '*by: int'",
        "which takes 'db: Db', which no JSON fits",
        "asks for 'db: Db', which nothing provides",
        "has the method 'up', which yields",
        "has two methods that are called 'same'",
        "gives the private method '_up' a name to be called by",
        "has two parts of its state under the key 'same'",
        "those below 'dapr.internal.' are the runtime's",
        'name contains forbidden character: "a/b"',
        "is no class of actors",
    ):
        assert wanted in text


def test_all_mistakes_of_one_class() -> None:
    """What is wrong with several methods, the state and the constructor is told at once."""

    class Shapeless(Actor):  # type: ignore[type-arg]  # the point
        async def one(self, by) -> None: ...  # type: ignore[no-untyped-def]  # noqa: ANN001 - the point

        async def two(self, *by: int) -> None: ...

    class Wanting(Actor[int]):
        def __init__(self, db: Db) -> None:
            self.db = db

        async def up(self, *, needy: Needy) -> None: ...

    text = problems_of(Shapeless, Wanting)
    for wanted in ("method 'one'", "method 'two'", "does not say the type of its state"):
        assert wanted in text
    for wanted in ("asks for 'db: Db'", "method 'up', which asks for 'needy: Needy'"):
        assert wanted in text


def test_what_belongs_to_the_base_class() -> None:
    """Its names are taken, its hooks are async, and a class that cannot be made is refused."""

    class Reminding(Actor[int]):
        async def remind(self, text: str) -> None: ...  # type: ignore[override]  # the point

    class Waking(Actor[int]):
        def on_activate(self) -> None: ...  # type: ignore[override]  # the point

    class Abstract(Actor[int], ABC):
        @abstractmethod
        async def up(self) -> None: ...

    text = problems_of(Reminding, Waking, Abstract)
    assert "defines 'remind', which is every actor's own; rename it" in text
    assert "defines 'on_activate' without 'async'; write 'async def on_activate(self)'" in text
    assert "leaves 'up' abstract, so none can be made; define it" in text


def test_a_type_in_the_body_of_a_class() -> None:
    """It names the actors as the argument of the class does, for derived classes, too."""

    class Cart(Actor[int]):
        actor_type = "ShoppingCart"

    class BigCart(Cart):
        pass

    assert (Cart.actor_type, BigCart.actor_type) == ("ShoppingCart", "ShoppingCart")


def test_one_type_has_one_class() -> None:
    """Two classes with one type are refused."""

    class Another(Actor[int], actor_type="PlainActor"): ...

    assert "has the type 'PlainActor', and so has actor 'PlainActor'" in problems_of(
        PlainActor, Another
    )


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"idle": 5}, "sets idle=5; it must be a timedelta"),
        ({"idle": timedelta()}, "it must be at least a millisecond"),
        ({"drain": timedelta(-1)}, "it takes 0 or more"),
        ({"max_depth": 0}, "it takes 1 or more"),
        ({"max_depth": 3, "reentrant": False}, "'max_depth' without 'reentrant'"),
        ({"reentrant": "yes"}, "it must be True or False"),
    ],
)
def test_options_are_checked(options: dict[str, Any], wanted: str) -> None:
    """An option that cannot be is reported at freeze."""
    app = DaprFlow("broken")
    app.actor(**options)(PlainActor)
    with pytest.raises(AppDefinitionError, match=wanted):
        app.freeze()


def test_a_decorator_without_a_class_is_told() -> None:
    """A decorator that decorates nothing is reported."""
    app = DaprFlow("broken")
    app.actor(idle=timedelta(minutes=1))
    with pytest.raises(AppDefinitionError, match=r"'app\.actor\(\.\.\.\)'.*decorates no function"):
        app.freeze()


async def test_the_runtime_is_told_every_setting() -> None:
    """/dapr/config has the types and settings; a type's own entry repeats what holds for all."""
    defaults = ActorDefaults(
        idle=timedelta(hours=2),
        drain=timedelta(seconds=30),
        drain_rebalanced=False,
        reentrant=True,
        max_depth=8,
        reminder_partitions=7,
    )
    app = DaprFlow("shop", actors=defaults)
    app.actor(PlainActor)
    app.actor(idle=timedelta(milliseconds=1500), reentrant=False)(OtherActor)
    assert await told(app) == {
        "entities": ["PlainActor", "OtherActor"],
        "actorIdleTimeout": "7200s",
        "drainOngoingCallTimeout": "30s",
        "drainRebalancedActors": False,
        "reentrancy": {"enabled": True, "maxStackDepth": 8},
        "remindersStoragePartitions": 7,
        "entitiesConfig": [
            {
                "entities": ["OtherActor"],
                "actorIdleTimeout": "1.5s",
                "drainOngoingCallTimeout": "30s",
                "drainRebalancedActors": False,
                "reentrancy": {},
                "remindersStoragePartitions": 7,
            }
        ],
    }


async def test_nothing_is_told_that_nobody_said() -> None:
    """Without options the runtime's own settings hold."""
    app = DaprFlow("shop")
    app.actor(PlainActor)
    assert await told(app) == {"entities": ["PlainActor"]}


async def told(app: DaprFlow) -> Any:
    """What the runtime reads of an app."""
    async with hosting(app) as stage:
        answer = await stage.sidecar.to_app(HttpRequest("GET", "/dapr/config"))
        return msgspec.json.decode(answer.body)


async def test_routers_bring_actors_and_routes_are_listed() -> None:
    """A router declares actors for the app that includes it; each method is a route."""
    router = Router()
    router.actor(idle=timedelta(minutes=5))(PlainActor)
    app = DaprFlow("shop")
    app.include(router)
    (row,) = app.table()
    assert (row.kind, row.method, row.path, row.name, row.handler, row.payload) == (
        "actor",
        "PUT",
        "/actors/PlainActor/{id}/method/up",
        "PlainActor/up",
        "PlainActor",
        "int",
    )
    assert row.options == {"idle": "0:05:00"}
    async with hosting(app) as stage:
        assert await stage.client.actor(PlainActor, "1").up(2) == 2


async def test_methods_and_constructors_are_injected() -> None:
    """What an actor needs comes into its constructor, or after '*' into a method, by type."""

    class Served(Actor[None]):
        def __init__(self, db: Db) -> None:
            self.db = db

        async def same(self, *, db: Db | None = None) -> bool:
            return db is self.db

    app = DaprFlow("shop")
    app.actor(Served)
    app.provide(Db)
    async with hosting(app) as stage:
        assert await stage.client.actor(Served, "1").same()


async def test_interceptors_are_around_turns() -> None:
    """An interceptor sees an actor's calls as deliveries, with their kind and name."""
    seen = []

    async def watching(delivery: Any, call: Any) -> Any:
        outcome = await call(delivery)
        seen.append((delivery.kind, delivery.name, outcome.body))
        return outcome

    app = DaprFlow("shop", interceptors=[watching])
    app.actor(PlainActor)
    async with hosting(app) as stage:
        await stage.client.actor(PlainActor, "1").up(2)
    assert seen == [("actor", "PlainActor/up", b"2")]


async def test_actors_live_in_another_application() -> None:
    """Installed into FastAPI, actors are called as alone, and a catch-all does not hide them."""
    app = DaprFlow("shop")
    app.actor(PlainActor)
    api = FastAPI()

    @api.api_route("/{path:path}", methods=["GET", "PUT", "DELETE"])
    async def everything(path: str) -> str:
        return path

    app.install(api)
    async with TestSidecar(app, host=api) as dapr:
        assert await dapr.actor(PlainActor, "1").up(2) == 2


@pytest.mark.row("FA-24")
async def test_actors_ask_for_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """FA-24, S-01: with a token set, calls, ticks and the end of an actor need it."""
    monkeypatch.setenv("APP_API_TOKEN", "secret")
    app = DaprFlow("shop")
    app.actor(PlainActor)
    async with hosting(app) as stage:
        for method, path in (
            ("PUT", "/method/up"),
            ("PUT", "/method/remind/up"),
            ("PUT", "/method/timer/up"),
            ("DELETE", ""),
        ):
            target = f"/actors/PlainActor/1{path}"
            refused = await stage.sidecar.to_app(HttpRequest(method, target, (), b"2"))
            assert refused.status == 401
            given = (("dapr-api-token", "secret"),)
            passed = await stage.sidecar.to_app(HttpRequest(method, target, given, b"2"))
            assert passed.status in (200, 500)


def test_a_part_wants_what_makes_its_value() -> None:
    """A default that is a value is refused where it stands: every actor would share it."""
    with pytest.raises(TypeError, match="default=lambda"):
        Part(str, default="")  # type: ignore[arg-type]  # what the test is about
