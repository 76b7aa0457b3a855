"""What providers make, replaced by type for a test; and what an app saved."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from daprflow.app import DaprFlow
from daprflow.client import Client
from daprflow.testing import TestSidecar


class Db:
    """A database of a user's."""

    def __init__(self, name: str) -> None:
        self.name = name


class Session:
    """What is made for each call."""

    def __init__(self, db: Db) -> None:
        self.db = db


class Cart(msgspec.Struct):
    items: list[str]


def with_providers(app: DaprFlow) -> list[str]:
    """Give the app a database and sessions; return what was opened and closed."""
    seen: list[str] = []

    @app.provide
    async def db() -> AsyncIterator[Db]:
        seen.append("opened")
        yield Db("real")
        seen.append("closed")

    @app.provide(scope="call")
    async def session(*, db: Db) -> Session:
        return Session(db)

    return seen


async def test_a_fake_is_given_instead(app: DaprFlow) -> None:
    """Handlers and other providers get the fake; the provider of its type does not run."""
    seen = with_providers(app)

    @app.invoke
    async def name(*, db: Db, session: Session) -> str:
        return f"{db.name} {session.db.name}"

    async with TestSidecar(app, providers={Db: Db("fake")}) as dapr:
        assert await dapr.invoke(name) == "fake fake"
    assert seen == []
    async with TestSidecar(app) as dapr:
        assert await dapr.invoke(name) == "real real"
    assert seen == ["opened", "closed"]


async def test_what_is_made_for_each_call_can_be_a_fake(app: DaprFlow) -> None:
    """A value for a provider of scope 'call' is given to every call."""
    with_providers(app)
    fake = Session(Db("fake"))

    @app.invoke
    async def same(*, session: Session) -> bool:
        return session is fake

    async with TestSidecar(app).provide(Session, fake) as dapr:
        assert await dapr.invoke(same)
        with pytest.raises(RuntimeError, match="runs already"):
            dapr.provide(Session, fake)


async def test_an_unknown_type_is_refused(app: DaprFlow) -> None:
    """A type that nothing provides is a mistake of the test, and the text lists those that are."""
    with_providers(app)
    with pytest.raises(LookupError, match=r"no provider makes int, .* providers make Db, Session$"):
        await TestSidecar(app, providers={int: 1}).__aenter__()
    async with TestSidecar(app):
        pass


async def test_saved_shows_what_the_app_keeps(app: DaprFlow) -> None:
    """Keys are without the app's prefix, values are decoded, and other apps' are left out."""
    async with TestSidecar(app) as dapr:
        store = dapr.state("statestore")
        await store.set("cart", Cart(["tea"]))
        await store.set("n", 3)
        assert await dapr.saved("statestore") == {"cart": {"items": ["tea"]}, "n": 3}
        await store.delete("n")
        assert await dapr.saved("statestore", Cart) == {"cart": Cart(["tea"])}
        assert await dapr.saved("statestore", bytes) == {"cart": b'{"items":["tea"]}'}
        with pytest.raises(AssertionError, match="'cart' of state store 'statestore' is no"):
            await dapr.saved("statestore", int)
        assert await dapr.saved("not used yet") == {}


async def test_saved_reads_a_store_on_disk(app: DaprFlow, tmp_path: Path) -> None:
    """A component of a file is read as the one that a test makes."""
    (tmp_path / "store.yaml").write_text(
        "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: disk}\n"
        "spec:\n  type: state.sqlite\n  version: v1\n  metadata:\n"
        f"  - {{name: connectionString, value: {tmp_path}/s.db}}\n"
        "  - {name: keyPrefix, value: name}\n",
        encoding="utf-8",
    )
    async with TestSidecar(app, resources_path=tmp_path) as dapr:
        await dapr.state("disk").set("a", "text")
        assert await dapr.saved("disk") == {"a": "text"}
        with pytest.raises(LookupError, match="no state store 'other'; there is 'disk'"):
            await dapr.saved("other")


async def test_an_apps_own_client_is_left_alone(app: DaprFlow) -> None:
    """After the test the app has the client it had before."""
    mine = Client()
    app.client = mine
    async with TestSidecar(app):
        assert app.client is not mine
    assert app.client is mine
