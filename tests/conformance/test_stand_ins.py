"""What takes the place of component types that only a real runtime has."""

import asyncio
import contextlib
import json
import logging
import stat
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response

from daprflow.client import Client
from daprflow.errors import NotFound, SecretNotFound
from daprflow.protocol.resources import ComponentResource
from daprflow.sidecar.clock import SystemClock, VirtualClock
from daprflow.sidecar.components.base import ComponentError
from daprflow.sidecar.components.registry import COMPONENTS
from daprflow.sidecar.components.stand_ins import stand_in_for
from daprflow.sidecar.engine import Engine
from daprflow.sidecar.http_api.app import HttpApi
from daprflow.sidecar.loading import Loader
from daprflow.sidecar.options import RuntimeOptions
from daprflow.sidecar.resources import load_resources
from daprflow.testing.transport import InProcessTransport
from tests.helpers.sidecar import Components, InProcessSidecar, in_process_sidecar


class App:
    """An app that takes every binding event, and fails as often as it is told."""

    def __init__(self, failures: int = 0) -> None:
        self.taken: list[tuple[bytes, Mapping[str, str]]] = []
        self.failures = failures

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        body = await request.body()
        status = 200 if request.method in {"OPTIONS", "POST"} else 404
        if request.method == "POST":
            if self.failures:
                self.failures -= 1
                status = 500
            self.taken.append((body, dict(request.headers)))
        await Response(status_code=status)(scope, receive, send)


@contextlib.asynccontextmanager
async def sidecar_with(
    root: Path, components: Components, app: App | None = None, data: Path | None = None
) -> AsyncIterator[tuple[Client, InProcessSidecar]]:
    """A sidecar with ``components``, and a client of it."""
    async with (
        in_process_sidecar(
            root, components, app, clock=VirtualClock(1000.0), data_dir=data
        ) as sidecar,
        Client(transport=InProcessTransport(HttpApi(sidecar.runtime))) as client,
    ):
        yield client, sidecar


@pytest.fixture(params=["disk", "memory"])
def data(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    """The data folder, and none."""
    if request.param == "memory":
        return None
    folder = tmp_path / ".daprflow"
    folder.mkdir()
    return folder


@pytest.mark.parametrize(
    "kind",
    [
        "state",
        "pubsub",
        "bindings",
        "secretstores",
        "configuration",
        "lock",
        "conversation",
        "crypto",
    ],
)
def test_every_block_has_a_stand_in(kind: str) -> None:
    """A type nobody has heard of has a counterpart of its block."""
    stand_in = stand_in_for(f"{kind}.somebody.elses", "v1")
    assert stand_in is not None
    assert stand_in.text.startswith("its place take")


def test_what_is_here_is_not_stood_in_for() -> None:
    """Nor is what belongs to no block, or has a version that nobody knows."""
    for name in COMPONENTS:
        version = "v2" if name.startswith("state.postgres") else "v1"
        assert stand_in_for(name, version) is None
    assert stand_in_for("nonsense.x") is None
    assert stand_in_for("state.redis", "v7") is None


def test_what_is_here_can_be_stood_in_for() -> None:
    """A type that is asked for by name, of any block that has stand-ins."""
    for name in ("state.postgresql", "pubsub.redis", "bindings.http"):
        assert stand_in_for(name, "v2", wanted=(name,)) is not None
    assert stand_in_for("pubsub.redis", "v1", wanted=("state.postgresql",)) is None
    uppercase = "middleware.http.uppercase"
    assert stand_in_for(uppercase, "v1", wanted=(uppercase,)) is None


async def test_two_apps_are_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What takes a place takes it for every app of the run."""
    kafka = ComponentResource(name="orders", type="pubsub.kafka")
    engine = Engine(SystemClock(), None, tmp_path)
    with caplog.at_level(logging.WARNING):
        for app_id in ("shop", "billing"):
            loader = Loader(engine, RuntimeOptions(app_id))
            await loader.load([kafka])
            await loader.unload()
    await engine.close()
    assert len(caplog.records) == 1


async def test_a_server_that_is_not_at_hand(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With ``--stand-in`` a store that the sidecar could open is kept in a file, and said."""
    postgres = ComponentResource(name="db", type="state.postgresql", version="v2")
    engine = Engine(SystemClock(), None, tmp_path)
    loader = Loader(engine, RuntimeOptions("shop", stand_in=("state.postgresql",)))
    with caplog.at_level(logging.WARNING):
        (loaded,) = await loader.load([postgres])
    await loader.unload()
    await engine.close()
    assert type(loaded.instance).__name__ == "QueryingSqliteState"
    assert "'state.postgresql' is stood in for, as --stand-in asks" in caplog.text


async def test_one_line_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The component, its type, and what takes its place."""
    with caplog.at_level(logging.WARNING):
        async with sidecar_with(tmp_path, {"orders": ("pubsub.kafka", {"brokers": "x:9092"})}):
            pass
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.endswith(
        "component 'orders': no 'pubsub.kafka' here; its place takes the built-in durable broker"
    )


async def test_an_older_table_is_not_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """``state.postgresql`` without a version means v1, whose tables are others."""
    components = {"db": ("state.postgresql", {"connectionString": "host=nowhere"})}
    with caplog.at_level(logging.WARNING):
        async with sidecar_with(tmp_path, components) as (client, _):
            await client.state("db").set("k", 1)
    assert "the tables of v1 are not read" in caplog.text


def test_strictness_refuses(tmp_path: Path) -> None:
    """With ``--strict-components`` each of them is a problem with its place."""
    text = (
        "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: a}\n"
        "spec: {type: state.mongodb, version: v1}\n"
    )
    (tmp_path / "a.yaml").write_text(text)
    assert load_resources([tmp_path]).problems == ()
    (problem,) = load_resources([tmp_path], strict=True).problems
    assert "component 'a' has type 'state.mongodb'" in problem


async def test_state_stays_where_it_was(tmp_path: Path, data: Path | None) -> None:
    """In a file of its own, found again; what the real one needs is not looked at."""
    components = {"a/b db": ("state.aws.dynamodb", {"table": "t", "region": "r"})}
    async with sidecar_with(tmp_path, components, data=data) as (client, _):
        await client.state("a/b db").set("k", {"a": 1})
    async with sidecar_with(tmp_path, components, data=data) as (client, _):
        found = await client.state("a/b db").get("k", dict[str, int])
    assert (found.value if found else None) == (None if data is None else {"a": 1})


# ---- queues ------------------------------------------------------------------------------------


async def test_what_was_put_in_comes_back(tmp_path: Path, data: Path | None) -> None:
    """With the metadata of Kafka: key, partition, an offset that rises."""
    app = App()
    components = {"sms": ("bindings.kafka", {"topics": "t1", "publishTopic": "t1"})}
    async with sidecar_with(tmp_path, components, app, data) as (client, sidecar):
        await client.bind("sms", "create", {"n": 1}, metadata={"partitionKey": "ann", "x": "y"})
        await client.bind("sms", "create", {"n": 2}, metadata={"__key": "bob"})
        await sidecar.until(lambda: len(app.taken) == 2)
    assert [body for body, _ in app.taken] == [b'{"n":1}', b'{"n":2}']
    first, second = (headers for _, headers in app.taken)
    assert (first["__key"], first["__offset"], first["__partition"]) == ("ann", "0", "0")
    assert (first["__topic"], first["x"], first["__timestamp"]) == ("t1", "y", "1000000")
    assert (second["__key"], second["__offset"]) == ("bob", "1")


async def test_a_failed_message_comes_again_before_the_next(
    tmp_path: Path, data: Path | None
) -> None:
    """Order is kept through failures."""
    app = App(failures=2)
    async with sidecar_with(
        tmp_path, {"q": ("bindings.rabbitmq", {"queueName": "q"})}, app, data
    ) as (
        client,
        sidecar,
    ):
        for number in range(3):
            await client.bind("q", "create", number)
        await sidecar.until(lambda: len(app.taken) == 5)
    assert [body for body, _ in app.taken] == [b"0", b"0", b"0", b"1", b"2"]
    assert not [name for _, headers in app.taken for name in headers if name.startswith("__")]


async def test_a_queue_survives_a_restart(tmp_path: Path) -> None:
    """What nobody had handled is delivered by the next run."""
    data = tmp_path / ".daprflow"
    data.mkdir()
    components = {"q": ("bindings.aws.sqs", {"queueName": "q"})}
    async with sidecar_with(tmp_path, components, None, data) as (client, _):
        await client.bind("q", "create", "kept")
    app = App()
    async with sidecar_with(tmp_path, components, app, data) as (_, sidecar):
        await sidecar.until(lambda: len(app.taken) == 1)
    assert app.taken[0][0] == b'"kept"'


async def test_two_bindings_can_name_one_queue(tmp_path: Path, data: Path | None) -> None:
    """What one puts in, the other takes out, as with the real one."""
    app = App()
    components = {
        "out": ("bindings.azure.servicebusqueues", {"queueName": "q", "direction": "output"}),
        "in": ("bindings.azure.servicebusqueues", {"queueName": "q", "direction": "input"}),
    }
    async with sidecar_with(tmp_path, components, app, data) as (client, sidecar):
        await client.bind("out", "create", 7)
        await sidecar.until(lambda: len(app.taken) == 1)
    assert app.taken[0][0] == b"7"


async def test_queues_of_one_name_in_two_systems_are_two(tmp_path: Path) -> None:
    """A queue of RabbitMQ gets nothing of what goes into a topic of Kafka that is called so."""
    app = App()
    components = {
        "rabbit": ("bindings.rabbitmq", {"queueName": "q"}),
        "kafka": ("bindings.kafka", {"topics": "q", "publishTopic": "q", "direction": "output"}),
    }
    async with sidecar_with(tmp_path, components, app) as (client, sidecar):
        await client.bind("kafka", "create", 1)
        await client.bind("rabbit", "create", 2)
        await sidecar.until(lambda: bool(app.taken))
    assert app.taken[0][0] == b"2"


# ---- objects, secrets, keys --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("bindings.aws.s3", "key"),
        ("bindings.azure.blobstorage", "blobName"),
        ("bindings.gcp.bucket", "key"),
    ],
)
async def test_buckets_are_folders(tmp_path: Path, data: Path | None, kind: str, word: str) -> None:
    """An object's name goes by the real one's word."""
    async with sidecar_with(tmp_path, {"bucket": (kind, {"bucket": "b"})}, data=data) as (
        client,
        _,
    ):
        await client.bind("bucket", "create", "hello", metadata={word: "a.txt"})
        got = await client.bind("bucket", "get", metadata={word: "a.txt"})
    assert b"hello" in bytes(getattr(got, "data", got))


async def test_secrets_come_from_a_file(tmp_path: Path, data: Path | None) -> None:
    """Store, then secret, then a text or pairs; what it lacks is named with the file."""
    file = tmp_path / ".daprflow" / "secrets.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps({"vault": {"dsn": "x", "db": {"user": "u", "password": "p"}}}))
    components = {"vault": ("secretstores.azure.keyvault", {"vaultName": "v"})}
    async with sidecar_with(tmp_path, components, data=data) as (client, _):
        assert await client.secret("vault", "dsn") == "x"
        with pytest.raises(SecretNotFound):
            await client.secret("vault", "none")
        with pytest.raises(NotFound):
            await client.secret("other", "dsn")


@pytest.mark.parametrize("text", ["[]", '{"vault": {"dsn": 7}}', "{", '{"vault": "private1"}'])
async def test_a_wrong_file_stops_the_start(tmp_path: Path, text: str) -> None:
    """The error shows the form and quotes nothing."""
    (tmp_path / ".daprflow").mkdir()
    (tmp_path / ".daprflow" / "secrets.json").write_text(text)
    with pytest.raises(ComponentError, match="is not in the form") as caught:
        async with sidecar_with(tmp_path, {"vault": ("secretstores.hashicorp.vault", {})}):
            raise AssertionError("it started")
    assert "private1" not in str(caught.value)


async def test_every_missing_secret_is_named_at_once(tmp_path: Path) -> None:
    """Nobody has to start again for each of them."""
    resources = tmp_path / "resources"
    resources.mkdir()
    (resources / "all.yaml").write_text(
        """
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {name: vault}
spec: {type: secretstores.hashicorp.vault, version: v1}
---
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {name: one}
spec:
  type: state.mongodb
  version: v1
  metadata:
  - {name: host, secretKeyRef: {name: mongo, key: host}}
  - {name: password, secretKeyRef: {name: mongo, key: password}}
auth: {secretStore: vault}
---
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {name: two}
spec:
  type: pubsub.kafka
  version: v1
  metadata:
  - {name: brokers, secretKeyRef: {name: brokers}}
auth: {secretStore: vault}
"""
    )
    from daprflow.sidecar.engine import Engine
    from daprflow.sidecar.loading import Loader
    from daprflow.sidecar.options import RuntimeOptions

    engine = Engine(VirtualClock(1000.0), None, tmp_path)
    found = load_resources([resources])
    with pytest.raises(ComponentError) as caught:
        await Loader(engine, RuntimeOptions("app1")).load(found.components)
    await engine.close()
    text = str(caught.value)
    assert "'vault' / 'mongo' / 'host' for component 'one'" in text
    assert "'vault' / 'mongo' / 'password' for component 'one'" in text
    assert "'vault' / 'brokers' for component 'two'" in text
    assert str(tmp_path / ".daprflow" / "secrets.json") in text


CLUSTERED = """
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {name: store}
spec:
  type: state.mongodb
  version: v1
  metadata:
  - {name: password, secretKeyRef: {name: mongo, key: password}}
"""


async def test_a_file_made_for_a_cluster_gets_its_secrets(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Where no store is named the cluster's own is meant, and it is stood in for too."""
    (tmp_path / "resources").mkdir()
    (tmp_path / "resources" / "all.yaml").write_text(CLUSTERED)
    (tmp_path / ".daprflow").mkdir()
    secrets = tmp_path / ".daprflow" / "secrets.json"
    secrets.write_text(json.dumps({"kubernetes": {"mongo": {"password": "hidden"}}}))
    found = load_resources([tmp_path / "resources"])
    async with (
        in_process_sidecar(tmp_path, {}, files=found) as sidecar,
        Client(transport=InProcessTransport(HttpApi(sidecar.runtime))) as client,
    ):
        assert list(await client.secrets("kubernetes")) == ["mongo"]
    assert "component 'kubernetes': no 'secretstores.kubernetes' here" in caplog.text
    secrets.unlink()
    with pytest.raises(ComponentError) as caught:
        async with in_process_sidecar(tmp_path, {}, files=found):
            pass
    text = "'kubernetes' / 'mongo' / 'password' for component 'store' (it names no"
    assert text in str(caught.value)


def test_strictness_wants_the_clusters_secrets_defined(tmp_path: Path) -> None:
    """With ``--strict-components`` nothing takes the place of the cluster's store."""
    (tmp_path / "a.yaml").write_text(CLUSTERED.replace("state.mongodb", "state.in-memory"))
    assert load_resources([tmp_path]).problems == ()
    (problem,) = load_resources([tmp_path], strict=True).problems
    assert "component 'store' refers to secrets of a cluster" in problem


async def test_keys_are_made_when_first_used(tmp_path: Path, data: Path | None) -> None:
    """And stay; nobody else may read them."""
    components = {"vault": ("crypto.azure.keyvault", {"vaultName": "v"})}
    async with sidecar_with(tmp_path, components, data=data) as (client, _):
        one = await client.encrypt("vault", b"x", key="k1", algorithm="RSA")
        two = await client.encrypt("vault", b"y", key="k2", algorithm="AES")
        assert await client.decrypt("vault", one) == b"x"
    if data is not None:
        async with sidecar_with(tmp_path, components, data=data) as (client, _):
            assert await client.decrypt("vault", two) == b"y"
        made = data / "keys" / "vault" / "k2"
        assert stat.S_IMODE((await asyncio.to_thread(made.stat)).st_mode) == 0o600
