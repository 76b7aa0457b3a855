"""Servers in containers: what an engine is asked for, and the skip where none answers."""

from pathlib import Path

import pytest

from daprflow.sidecar.resources import load_resources
from daprflow.testing import containers
from daprflow.testing.containers import NoEngine, Wanted


class RecordedContainer:
    """A container that is up at once."""

    def __init__(self, engine: "RecordingEngine", wanted: Wanted) -> None:
        self._engine = engine
        self._wanted = wanted

    def address(self, port: int) -> tuple[str, int]:
        return "127.0.0.1", port + 10_000

    def log(self) -> str:
        return f"… {self._wanted.ready} …"

    def stop(self) -> None:
        self._engine.stopped.append(self._wanted.image)


class RecordingEngine:
    """Takes down what it is asked for."""

    def __init__(self) -> None:
        self.started: list[Wanted] = []
        self.stopped: list[str] = []

    def start(self, wanted: Wanted) -> RecordedContainer:
        self.started.append(wanted)
        return RecordedContainer(self, wanted)


def test_redis_is_a_component(tmp_path: Path) -> None:
    """A server's component is a resource file that the sidecar reads; the container ends after."""
    engine = RecordingEngine()
    with containers.redis(engine) as server:
        server.component(tmp_path, "statestore", "state.redis", keyPrefix="name")
        with pytest.raises(LookupError, match=r"no 'state.postgresql' here"):
            server.component(tmp_path, "other", "state.postgresql")
    loaded = load_resources([tmp_path])
    assert loaded.problems == ()
    [component] = loaded.components
    pairs = {item.name: item.value for item in component.metadata}
    assert (component.name, component.type) == ("statestore", "state.redis")
    assert pairs == {"redisHost": "127.0.0.1:16379", "redisPassword": "", "keyPrefix": "name"}
    assert [each.ports for each in engine.started] == [(6379,)]
    assert engine.stopped == [containers.REDIS]


def test_postgresql_and_kafka_are_addressed() -> None:
    """PostgreSQL is reached at its published port, Kafka where it says itself that it listens."""
    engine = RecordingEngine()
    with containers.postgresql(engine) as database, containers.kafka(engine) as broker:
        url = database.metadata["state.postgresql"]["connectionString"]
        brokers = broker.metadata["pubsub.kafka"]["brokers"]
    assert url.endswith("@127.0.0.1:15432/postgres")
    told = engine.started[1].environment["KAFKA_ADVERTISED_LISTENERS"]
    assert told == f"PLAINTEXT://{brokers}"
    assert engine.stopped == [containers.KAFKA, containers.POSTGRESQL]


async def test_the_runtime_runs_beside_its_services(tmp_path: Path) -> None:
    """Placement and scheduler run for the session, the runtime for a test, on this network."""
    engine = RecordingEngine()
    with containers.services(engine, "1.18.3") as services:
        assert services.spawn is not None
        runtime = services.spawn(("--app-id=shop",), tmp_path)
        await runtime.stop()
    placement, scheduler, daprd = engine.started
    assert placement.command[0] == "./placement"
    assert scheduler.command[0] == "./scheduler"
    assert daprd.image == "daprio/daprd:1.18.3"
    assert daprd.command == ("./daprd", "--app-id=shop")
    assert daprd.mounts == ((tmp_path, str(tmp_path)),)
    assert all(each.host_network for each in engine.started)
    assert len(engine.stopped) == 3


def test_a_server_that_does_not_come_up_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its last lines are in the error, and it is taken away."""
    engine = RecordingEngine()
    monkeypatch.setattr(containers, "START_SECONDS", 0.0)
    monkeypatch.setattr(RecordedContainer, "log", lambda _: "out of memory")
    with pytest.raises(TimeoutError, match="out of memory"), containers.redis(engine):
        pass
    assert engine.stopped == [containers.REDIS]


def test_without_an_engine_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An engine that does not answer is told from a library that is not installed."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(NoEngine, match=r"no container engine answers .*DOCKER_HOST"):
        containers.engine()
