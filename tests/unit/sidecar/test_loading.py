"""How components come up: order, scopes, and what their metadata refers to."""

import asyncio
import logging
from pathlib import Path

import msgspec
import pytest

from daprflow.protocol.resources import ComponentResource, MetadataItem, SecretKeyRef
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.components.base import Component, ComponentContext, ComponentError
from daprflow.sidecar.engine import Engine
from daprflow.sidecar.loading import LoadedComponent, Loader
from daprflow.sidecar.options import RuntimeOptions


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    """Return an engine whose folder has a secrets file."""
    secrets = msgspec.json.encode({"redis": "s3cret", "pair": {"user": "u"}})
    (tmp_path / "secrets.json").write_bytes(secrets)
    return Engine(VirtualClock(), None, tmp_path)


def vault(name: str = "vault") -> ComponentResource:
    """Return a secret store over that file."""
    return ComponentResource(
        name, "secretstores.local.file", metadata=(MetadataItem("secretsFile", "secrets.json"),)
    )


def store(*items: MetadataItem, **more: object) -> ComponentResource:
    """Return a state store with metadata."""
    resource = ComponentResource("store", "state.in-memory", metadata=items, source="a.yaml:3")
    return msgspec.structs.replace(resource, **more)


async def load(engine: Engine, *resources: ComponentResource) -> list[LoadedComponent]:
    """Load ``resources`` for ``app1`` and give them back."""
    loader = Loader(engine, RuntimeOptions("app1"))
    loaded = await loader.load(resources)
    await loader.unload()
    return loaded


async def metadata(engine: Engine, *resources: ComponentResource) -> dict[str, str]:
    """Return the resolved metadata of the store."""
    (found,) = [c for c in await load(engine, *resources) if c.kind == "state"]
    return dict(found.context.metadata)


async def test_secret_stores_come_first(engine: Engine) -> None:
    """Whatever the order of the files."""
    loaded = await load(engine, store(), vault())
    assert [c.resource.name for c in loaded] == ["vault", "store"]


@pytest.mark.row("S-31")
async def test_scopes_hide_components(engine: Engine) -> None:
    """A component scoped to other apps is not loaded."""
    assert await load(engine, store(scopes=("app2",))) == []
    assert len(await load(engine, store(scopes=("app2", "app1")))) == 1


async def test_secrets_are_looked_up(engine: Engine) -> None:
    """The key defaults to the secret's name; metadata names are lower-cased."""
    item = MetadataItem("redisPassword", secret_key_ref=SecretKeyRef("redis"))
    resource = store(item, secret_store="vault")
    assert await metadata(engine, vault(), resource) == {"redispassword": "s3cret"}


async def test_placeholders_are_filled(engine: Engine) -> None:
    """App id and namespace by name, a fresh id at each place."""
    resource = store(MetadataItem("a", "{appID}/{namespace}/{uuid}/{uuid}"), MetadataItem("b"))
    found = await metadata(engine, resource)
    app, namespace, one, two = found["a"].split("/")
    assert (app, namespace, found["b"]) == ("app1", "default.app1", "")
    assert len(one) == len(two) == 36
    assert one != two


async def test_a_pod_name_that_is_not_there(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``{podName}`` needs its variable."""
    monkeypatch.delenv("POD_NAME", raising=False)
    with pytest.raises(ComponentError, match=r"'\{podName\}'.*POD_NAME"):
        await metadata(engine, store(MetadataItem("a", "{podName}")))
    monkeypatch.setenv("POD_NAME", "pod-1")
    assert await metadata(engine, store(MetadataItem("a", "{podName}"))) == {"a": "pod-1"}


@pytest.mark.row("S-40")
async def test_the_environment_is_read_with_care(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """``envRef`` gives a variable where no value stands, never one of the sidecar's own."""
    monkeypatch.setenv("SOME_VALUE", "x")
    monkeypatch.setenv("DAPR_API_TOKEN", "secret")
    monkeypatch.setenv("APP_API_TOKEN", "secret")
    items = (
        MetadataItem("a", env_ref="SOME_VALUE"),
        MetadataItem("b", "own", env_ref="SOME_VALUE"),
        MetadataItem("c", env_ref="DAPR_API_TOKEN"),
        MetadataItem("d", env_ref="APP_API_TOKEN"),
        MetadataItem("e", env_ref="NOT_THERE_AT_ALL"),
    )
    with caplog.at_level(logging.WARNING):
        found = await metadata(engine, store(*items))
    assert found == {"a": "x", "b": "own", "c": "", "d": "", "e": ""}
    assert len(caplog.records) == 2
    assert "secret" not in caplog.text


@pytest.mark.row("FS-27")
async def test_an_unknown_type_names_what_there_is(engine: Engine) -> None:
    """The error has the object, its place and the types of its block."""
    with pytest.raises(
        ComponentError, match=r"'store' \(a\.yaml:3\).*'stat\.redis'.*state\.sqlite"
    ):
        await load(engine, store(type="stat.redis"))


@pytest.mark.row("FS-27")
async def test_ignore_errors_leaves_a_component_out(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    """``ignoreErrors`` turns the error into a warning."""
    with caplog.at_level(logging.WARNING):
        assert await load(engine, store(type="stat.redis", ignore_errors=True)) == []
    assert "it is left out" in caplog.text


async def test_a_component_that_is_slow_to_open_is_given_up(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``initTimeout`` bounds the start."""
    given_up = asyncio.Event()

    class Slow:
        capabilities: tuple[str, ...] = ()

        async def open(self) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                given_up.set()

        async def close(self) -> None:
            raise AssertionError("it was never open")

    def make(context: ComponentContext) -> Component:
        return Slow()

    monkeypatch.setattr("daprflow.sidecar.loading.COMPONENTS", {"state.sqlite": make})
    with pytest.raises(ComponentError, match=r"not open after 0\.01 s"):
        await load(engine, store(type="state.sqlite", init_timeout=0.01))
    await given_up.wait()
