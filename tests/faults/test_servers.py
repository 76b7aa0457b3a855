"""Servers behind components: absent, gone and back, wrong credentials, races, and crashes."""

import asyncio
import contextlib
import dataclasses
import logging
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import pytest

from daprflow.sidecar.clock import SystemClock, VirtualClock
from daprflow.sidecar.components.base import (
    Component,
    ComponentError,
    ConfigurationStore,
    ConfigurationValue,
    EtagConflict,
    LockStore,
    Message,
    PubSub,
    StateStore,
    StateWrite,
    Undelivered,
)
from daprflow.sidecar.components.registry import COMPONENTS, versions
from tests.helpers.components import context
from tests.helpers.gate import Gate, gate_to
from tests.helpers.own_ports import free_port
from tests.helpers.servers import postgres_server, redis_server
from tests.helpers.sidecar import in_process_sidecar
from tests.helpers.timing import eventually

REDIS_TYPES = ("state.redis", "pubsub.redis", "configuration.redis", "lock.redis")
STATE_TYPES = ("state.redis", "state.postgresql")


@contextlib.asynccontextmanager
async def opened(root: Path, kind: str, metadata: Mapping[str, str]) -> AsyncIterator[Component]:
    """Open a component that lives in real time, as its server does."""
    made_from = context(root, VirtualClock(), kind, **metadata)
    component = COMPONENTS[kind](dataclasses.replace(made_from, clock=SystemClock()))
    await component.open()
    try:
        yield component
    finally:
        await component.close()


@contextlib.asynccontextmanager
async def metadata_of(kind: str) -> AsyncIterator[dict[str, str]]:
    """Give the metadata of a component on a part of a server of its own."""
    async with postgres_server() if "postgres" in kind else redis_server() as server:
        yield dict(server.metadata)


@contextlib.asynccontextmanager
async def gated(kind: str) -> AsyncIterator[tuple[Gate, dict[str, str], dict[str, str]]]:
    """Give a gate, a component's metadata through it, and the metadata past it."""
    async with metadata_of(kind) as direct:
        if "postgres" in kind:
            url = urlsplit(direct["connectionString"])
            async with gate_to(url.hostname or "", url.port or 5432) as gate:
                netloc = f"{url.netloc.rpartition('@')[0]}@{gate.address}"
                through = url._replace(netloc=netloc).geturl()
                yield gate, {**direct, "connectionString": through}, direct
            return
        host, _, port = direct["redisHost"].rpartition(":")
        async with gate_to(host, int(port)) as gate:
            yield gate, {**direct, "redisHost": gate.address}, direct


@pytest.mark.row("FS-29")
@pytest.mark.parametrize("kind", [*REDIS_TYPES, "state.postgresql"])
async def test_an_absent_server_stops_the_start(kind: str, tmp_path: Path) -> None:
    """The error names the component, the address, and what to do; no secret is in it."""
    port = free_port()
    metadata = {
        "redisHost": f"127.0.0.1:{port}",
        "redisPassword": "hush",
        "connectionString": f"host=127.0.0.1 port={port} user=me password=hush",
    }
    components = {"it": (f"{kind}/{max(versions(kind))}", metadata)}
    with pytest.raises(ComponentError) as refused:
        async with in_process_sidecar(tmp_path, components):
            raise AssertionError
    text = str(refused.value)
    assert "component 'it' cannot be opened: " in text
    assert f"127.0.0.1:{port}' cannot be reached" in text
    assert "see that it runs, or correct '" in text
    assert "hush" not in text


async def test_a_silent_server_is_given_up(tmp_path: Path) -> None:
    """A server that accepts connections and says nothing is an error after the read timeout."""

    async def say_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        silent.append(writer)

    silent: list[asyncio.StreamWriter] = []
    port = free_port()
    server = await asyncio.start_server(say_nothing, "127.0.0.1", port)
    metadata = {"redisHost": f"127.0.0.1:{port}", "readTimeout": "50"}
    with pytest.raises(ComponentError, match="cannot be reached"):
        async with opened(tmp_path, "state.redis", metadata):
            raise AssertionError
    for writer in silent:
        writer.close()
    server.close()


async def use(component: Component) -> None:
    """Do something that needs the server."""
    if hasattr(component, "transact"):
        store = cast("StateStore", component)
        await store.write(StateWrite("k", b"1"))
        assert await store.get("k") is not None
    elif hasattr(component, "publish"):
        await cast("PubSub", component).publish(Message("t", b"1"))
    elif hasattr(component, "try_lock"):
        locks = cast("LockStore", component)
        await locks.try_lock("r", "me", 10)
        await locks.unlock("r", "me")
    else:
        await cast("ConfigurationStore", component).get(("a",), {})


@pytest.mark.row("FS-29")
@pytest.mark.parametrize("kind", [*REDIS_TYPES, "state.postgresql"])
async def test_a_server_goes_away_and_returns(kind: str, tmp_path: Path) -> None:
    """FS: while it is away every operation fails at once and by name; then they work again."""
    async with gated(kind) as (gate, through, _), opened(tmp_path, kind, through) as component:
        await use(component)
        await gate.cut()
        for _attempt in range(3):
            with pytest.raises(ComponentError, match="cannot be reached") as refused:
                await use(component)
            assert gate.address in str(refused.value)
        await gate.open()
        await use(component)


@pytest.mark.row("FS-29")
async def test_events_go_on_after_a_cut(tmp_path: Path) -> None:
    """C-PS-17, 18: a subscription resumes by itself, with what was published meanwhile."""
    got: list[bytes] = []

    async def receive(message: Message) -> None:
        got.append(message.data)

    kind = "pubsub.redis"
    async with (
        gated(kind) as (gate, through, direct),
        opened(tmp_path, kind, direct) as publisher,
        opened(tmp_path, kind, through) as component,
    ):
        await cast("PubSub", component).subscribe("t", "c", {}, receive)
        await cast("PubSub", publisher).publish(Message("t", b"before"))
        await eventually(lambda: got == [b"before"])
        await gate.cut()
        await cast("PubSub", publisher).publish(Message("t", b"meanwhile"))
        await gate.open()
        await eventually(lambda: got == [b"before", b"meanwhile"])


async def test_changes_are_seen_after_a_cut(tmp_path: Path) -> None:
    """C-CO-05: a configuration subscription resumes, and is told what changed meanwhile."""
    told: list[str] = []

    async def changed(items: Mapping[str, ConfigurationValue]) -> None:
        told.extend(item.value for item in items.values())

    kind = "configuration.redis"
    async with gated(kind) as (gate, through, direct), opened(tmp_path, kind, through) as component:
        store = cast("ConfigurationStore", component)
        await store.subscribe(("color",), {}, changed)
        async with opened(tmp_path, "lock.redis", direct) as owner:
            locks = cast("LockStore", owner)
            await gate.cut()
            await locks.try_lock("color", "red", 60)  # a lock is a string key like an item
            await gate.open()
            await eventually(lambda: "red" in told)
            await locks.unlock("color", "red")
            await eventually(lambda: told[-1] == "")


async def test_wrong_credentials_on_redis(tmp_path: Path) -> None:
    """A refused password is named as that, and does not stand in the error."""
    async with metadata_of("state.redis") as metadata:
        wrong = {**metadata, "redisUsername": "nobody", "redisPassword": "hush-hush"}
        with pytest.raises(ComponentError, match="refused the credentials") as refused:
            async with opened(tmp_path, "state.redis", wrong):
                raise AssertionError
    assert "check 'redisUsername' and 'redisPassword'" in str(refused.value)
    assert "hush-hush" not in str(refused.value)


async def test_wrong_credentials_on_postgresql(tmp_path: Path) -> None:
    """A refused login is named as that, and the password does not stand in the error."""
    async with metadata_of("state.postgresql") as metadata:
        wrong = {**metadata, "user": "nobody", "password": "hush-hush"}
        with pytest.raises(ComponentError, match="refused the credentials") as refused:
            async with opened(tmp_path, "state.postgresql", wrong):
                raise AssertionError
    assert "check user and password of 'connectionString'" in str(refused.value)
    assert "hush-hush" not in str(refused.value)


@pytest.mark.parametrize("kind", STATE_TYPES)
async def test_an_etag_is_won_once(kind: str, tmp_path: Path) -> None:
    """Of 64 writers with one ETag exactly one writes, and what it wrote stays."""
    async with metadata_of(kind) as metadata, opened(tmp_path, kind, metadata) as component:
        store = cast("StateStore", component)
        await store.write(StateWrite("k", b"start"))
        before = await store.get("k")
        assert before is not None
        outcomes = await asyncio.gather(
            *(store.write(StateWrite("k", b"%d" % n, etag=before.etag)) for n in range(64)),
            return_exceptions=True,
        )
        (winner,) = [n for n, outcome in enumerate(outcomes) if outcome is None]
        assert sum(isinstance(outcome, EtagConflict) for outcome in outcomes) == 63
        after = await store.get("k")
        assert after is not None
        assert after.data == b"%d" % winner


async def test_a_crash_before_the_acknowledgement(tmp_path: Path) -> None:
    """What a crashed reader had taken goes to another one after the processing timeout."""
    attempts: list[tuple[bytes, int]] = []

    async def receive(message: Message) -> None:
        attempts.append((message.data, message.attempt))

    async with redis_server() as server:
        metadata = {**server.metadata, "processingTimeout": "60", "redeliverInterval": "20"}
        async with opened(tmp_path, "pubsub.redis", metadata) as component:
            broker = cast("PubSub", component)
            await broker.publish(Message("t", b"1"))
            await server.client.xgroup_create("t", "c", "0")
            await server.client.xreadgroup("c", "c", {"t": ">"})  # and never acknowledges
            await broker.subscribe("t", "c", {}, receive)
            await eventually(lambda: bool(attempts))
            await broker.publish(Message("t", b"2"))
            await eventually(lambda: len(attempts) == 2)
        assert attempts == [(b"1", 2), (b"2", 1)]
        assert (await server.client.xpending("t", "c"))["pending"] == 0


async def test_what_did_not_get_to_the_app_comes_again(tmp_path: Path) -> None:
    """An event whose app was away, or that took too long, is not acknowledged and comes again."""
    seen: list[int] = []

    async def receive(message: Message) -> None:
        seen.append(message.attempt)
        if len(seen) == 1:
            raise Undelivered("the app is away")
        if len(seen) == 2:
            await asyncio.Event().wait()

    async with redis_server() as server:
        metadata = {**server.metadata, "processingTimeout": "60ms", "redeliverInterval": "20ms"}
        async with opened(tmp_path, "pubsub.redis", metadata) as component:
            broker = cast("PubSub", component)
            await broker.subscribe("t", "c", {}, receive)
            await broker.publish(Message("t", b"1"))
            await eventually(lambda: seen == [1, 2, 3])
        assert (await server.client.xpending("t", "c"))["pending"] == 0


async def test_a_lost_stream_is_made_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A server that lost its data gets the group anew, with one warning, and events flow."""
    got: list[bytes] = []

    async def receive(message: Message) -> None:
        got.append(message.data)

    async with (
        redis_server() as server,
        opened(tmp_path, "pubsub.redis", server.metadata) as component,
    ):
        broker = cast("PubSub", component)
        await broker.subscribe("t", "c", {}, receive)
        await broker.publish(Message("t", b"1"))
        await eventually(lambda: got == [b"1"])
        with caplog.at_level(logging.WARNING):
            await server.client.flushdb()
            await broker.publish(Message("t", b"2"))
            await eventually(lambda: got == [b"1", b"2"])
    assert caplog.text.count("cannot be read now") == 1


@pytest.mark.row("FA-44")
@pytest.mark.parametrize(
    ("kind", "package", "extra"),
    [("lock.redis", "redis.asyncio", "redis"), ("state.postgresql", "asyncpg", "postgresql")],
)
async def test_a_missing_package_is_named(
    kind: str, package: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the extra's package the error has the pip line."""
    monkeypatch.setitem(sys.modules, package, None)
    metadata = {"redisHost": "h", "connectionString": "host=h"}
    with pytest.raises(ComponentError, match=rf"pip install 'daprflow\[{extra}\]'"):
        async with opened(tmp_path, kind, metadata):
            raise AssertionError
