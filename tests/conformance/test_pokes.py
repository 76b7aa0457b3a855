"""The pokes against the embedded sidecar, and with ``--dapr-runtime`` against a real one."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.helpers.cli_run import Run, write
from tests.helpers.real_runtime import home_of, services
from tests.helpers.shell import Shell

APP = """
from daprflow import Actor, DaprFlow

app = DaprFlow("shop")


@app.topic("pubsub", "orders", dead_letter="dead")
async def on_order(order: dict[str, int]) -> None:
    print("got", order, flush=True)


@app.topic("pubsub", "notes", dead_letter="dead")
async def on_note(note: str) -> None:
    print("note", note, flush=True)


@app.invoke
async def total(order: dict[str, int]) -> int:
    return order["a"] + order["b"]


@app.invoke("GET", "/orders")
async def orders() -> str:
    return "all of them"


@app.job("report")
async def report(what: dict[str, int]) -> None: ...


@app.actor
class Cart(Actor[list[str]]):
    async def add(self, sku: str) -> int:
        self.state.append(sku)
        return len(self.state)

    async def boom(self) -> None:
        raise ValueError("not now")

    async def late(self, what: str) -> None: ...
"""
COMPONENT = """
---
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {{name: {name}}}
spec: {{type: {kind}, version: v1, metadata: [{metadata}]}}
"""
ACTORS = "{name: connectionString, value: state.db}, {name: actorStateStore, value: 'true'}"
SECRET = "canary-of-pokes"
FILES = {
    "app.py": APP,
    "secrets.json": f'{{"dsn": "{SECRET}", "other": "x"}}',
    "resources/all.yaml": "".join(
        COMPONENT.format(name=name, kind=kind, metadata=metadata)
        for name, kind, metadata in (
            ("statestore", "state.sqlite", ACTORS),
            ("pubsub", "pubsub.in-memory", ""),
            ("vault", "secretstores.local.file", "{name: secretsFile, value: secrets.json}"),
        )
    ),
}
KINDS = ["embedded", "real"]
pytestmark = pytest.mark.sockets


@dataclass(frozen=True, slots=True)
class Service:
    """A service that runs in a folder; ``kind`` is that of its sidecar."""

    kind: str
    folder: Path
    run: Run


@pytest.fixture(scope="module", params=KINDS)
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """The service beside a sidecar of each kind."""
    folder = tmp_path_factory.mktemp("service")
    write(folder, FILES)
    with ExitStack() as stack:
        words, env = ["--sidecar", "embedded"], {}
        if request.param == "real":
            home = home_of(request.config)
            beside = stack.enter_context(services(home, folder))
            words = ["--sidecar", "daprd", *beside.flags]
            env = {"DAPR_RUNTIME_PATH": str(home)}
        run = stack.enter_context(Run(folder, "run", "app.py", *words, env=env))
        run.ready()
        yield Service(request.param, folder, run)


@pytest.fixture
def shell(
    service: Service, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Shell:
    """A shell in the folder of the service."""
    monkeypatch.chdir(service.folder)
    return Shell(capfd, monkeypatch)


def test_an_event_from_a_word_a_file_and_a_pipe(service: Service, shell: Shell) -> None:
    """Data come from the command line, from a file or from standard input, with their type."""
    write(service.folder, {"order.json": '{"file": 2}'})
    assert shell.json("publish", "pubsub", "orders", '{"word": 1}', "--ttl", "1h") == {
        "pubsub": "pubsub",
        "topic": "orders",
        "contentType": "application/json",
        "bytes": 11,
    }
    service.run.until("got {'word': 1}")
    assert shell("publish", "pubsub", "orders", "@order.json") == 0
    assert shell.out == "published to pubsub/orders\n"
    service.run.until("got {'file': 2}")
    assert shell("publish", "pubsub", "notes", "-", given=b"from a pipe") == 0
    service.run.until("note from a pipe")
    assert shell("publish", "pubsub", "notes", "@@home") == 0
    service.run.until("note @home")
    assert shell.problem("publish", "nowhere", "orders", "1") == (3, "ERR_PUBSUB_NOT_FOUND", 404)


def test_a_method_and_its_answer(shell: Shell) -> None:
    """The answer is printed as it is, or within JSON with its status and type."""
    assert shell("invoke", "shop", "total", '{"a": 1, "b": 2}') == 0
    assert shell.out == "3\n"
    assert shell.json("invoke", "shop", "orders", "--verb", "get") == {
        "status": 200,
        "contentType": "text/plain; charset=utf-8",
        "text": "all of them",
    }
    assert shell.json("invoke", "shop", "total", '{"a": 1, "b": 2}')["data"] == 3
    assert shell.problem("invoke", "shop", "nothing", "--verb", "GET")[0::2] == (3, 404)


def test_state_with_its_etag(shell: Shell) -> None:
    """A key is set, read with its ETag, guarded by it, and deleted."""
    assert shell("state", "get", "statestore", "k") == 3
    assert "there is no key 'k' in state store 'statestore'" in shell.err
    assert shell.json("state", "set", "statestore", "k", '{"a": [1.5, "x"]}') == {
        "store": "statestore",
        "key": "k",
    }
    assert shell("state", "get", "statestore", "k") == 0
    assert shell.out == '{"a":[1.5,"x"]}\n'
    found = shell.json("state", "get", "statestore", "k")
    assert found["data"] == {"a": [1.5, "x"]}
    assert shell("state", "set", "statestore", "k", "2", "--etag", found["etag"]) == 0
    stale = ("state", "set", "statestore", "k", "3", "--etag", found["etag"])
    assert shell.problem(*stale) == (5, "ERR_STATE_SAVE", 409)
    assert shell("state", "set", "statestore", "k", "4", "--concurrency", "first-write") == 5
    assert shell.problem("state", "delete", "statestore", "k", "--etag", found["etag"])[0] == 5
    assert shell("state", "delete", "statestore", "k") == 0
    assert shell.out == "deleted 'k' from 'statestore'\n"
    assert shell.problem("state", "get", "statestore", "k") == (3, "MISSING", 0)
    assert shell.problem("state", "get", "nowhere", "k")[:2] == (3, "ERR_STATE_STORE_NOT_FOUND")


def test_state_that_ends(shell: Shell) -> None:
    """A time to live is told back where the store knows it."""
    assert shell("state", "set", "statestore", "soon", "@@text", "--ttl", "2h") == 0
    found = shell.json("state", "get", "statestore", "soon")
    assert found["data"] == "@text"
    assert found["expires"].endswith("Z")


def test_keys_of_a_store(service: Service, shell: Shell) -> None:
    """The embedded sidecar lists keys; a real one says which stores it can list."""
    for key in ("list:b", "list:a", "other"):
        assert shell("state", "set", "statestore", key, "1") == 0
    words = ("state", "list", "statestore", "--prefix", "list:")
    if service.kind == "real":
        assert shell.problem(*words) == (1, "KEYS_NOT_LISTED", 0)
        assert shell(*words) == 1
        assert "(state.sqlite) cannot list its keys beside a real runtime" in shell.err
        assert shell.problem("state", "list", "nowhere")[0] == 3
        return
    assert shell(*words) == 0
    assert shell.out == "list:a\nlist:b\n"
    assert shell.json(*words, "--limit", "1") == {
        "store": "statestore",
        "keys": ["list:a"],
        "more": True,
    }
    assert shell.problem("state", "list", "nowhere")[0] == 3


def test_an_actor(shell: Shell) -> None:
    """Methods are called, their errors are told, state is read."""
    assert shell("actor", "invoke", "Cart", "ann/b", "add", '"one"') == 0
    assert shell.out == "1\n"
    assert shell.json("actor", "invoke", "Cart", "ann/b", "add", '"two"')["data"] == 2
    assert shell.json("actor", "state", "Cart", "ann/b", "state")["data"] == ["one", "two"]
    assert shell("actor", "state", "Cart", "ann/b", "nothing") == 3
    assert shell("actor", "invoke", "Cart", "ann/b", "boom") == 1
    assert "method 'boom' of actor 'Cart' 'ann/b' failed: ValueError: not now" in shell.err
    assert shell.problem("actor", "invoke", "Cart", "ann/b", "boom")[:2] == (1, "ACTOR_FAILED")
    assert shell("actor", "invoke", "Nobody", "ann", "add") == 1


def test_reminders_and_timers(shell: Shell) -> None:
    """A reminder is set, shown, listed and deleted; a timer is set and deleted."""
    when = ("--due", "1h", "--data", '"x"')
    assert shell("actor", "reminder", "set", "Cart", "bob", "late", *when) == 0, shell.err
    assert shell.json("actor", "reminder", "get", "Cart", "bob", "late")["data"] == "x"
    listed = shell.json("actor", "reminder", "list", "Cart", "bob")
    assert [(each["type"], each["id"], each["name"]) for each in listed] == [
        ("Cart", "bob", "late")
    ]
    assert shell("actor", "reminder", "delete", "Cart", "bob", "late") == 0
    assert shell.json("actor", "reminder", "list", "Cart") == []
    assert shell("actor", "reminder", "get", "Cart", "bob", "late") == 3
    assert (
        shell("actor", "timer", "set", "Cart", "bob", "t", "--due", "1h", "--callback", "late") == 0
    )
    assert shell("actor", "timer", "delete", "Cart", "bob", "t") == 0
    assert shell("actor", "reminder", "get", "Cart", "bob") == 2


def test_jobs(shell: Shell) -> None:
    """A job is scheduled, shown, listed and deleted."""
    words = ("job", "schedule", "report", '{"a": 1}', "--schedule", "@every 1h")
    assert shell.json(*words) == {"name": "report"}
    assert shell.json("job", "get", "report")["schedule"] == "@every 1h"
    assert shell(*words) == 1
    assert shell(*words, "--overwrite") == 0
    assert [(each["name"], each["schedule"]) for each in shell.json("job", "list")] == [
        ("report", "@every 1h")
    ]
    assert shell("job", "delete", "report") == 0
    assert shell.problem("job", "get", "report") == (3, "MISSING", 0)
    assert shell.json("job", "list") == []
    assert shell("job", "schedule", "report") == 2


def test_secrets_by_name(shell: Shell) -> None:
    """Names are told, a value for one secret alone and only with --value."""
    assert shell("secret", "vault", "--names-only") == 0
    assert shell.out == "dsn\nother\n"
    assert shell.json("secret", "vault") == {"store": "vault", "names": ["dsn", "other"]}
    assert shell("secret", "vault", "dsn") == 0
    assert shell.out == "secret 'dsn' is in 'vault'\n"
    assert SECRET not in str(shell.json("secret", "vault", "dsn"))
    assert shell("secret", "vault", "dsn", "--value") == 0
    assert shell.out == f"{SECRET}\n"
    assert shell.json("secret", "vault", "other", "--value")["values"] == {"other": "x"}
    assert shell("secret", "vault", "nothing") == 3
    assert shell("secret", "nowhere") == 3
    assert shell("secret", "vault", "--value") == 2
    assert shell("secret", "vault", "dsn", "--value", "--names-only") == 2


def test_how_the_service_is(service: Service, shell: Shell) -> None:
    """The app, its sidecar and each component are asked."""
    (found,) = shell.json("status", "shop")
    assert (found["appId"], found["status"]) == ("shop", "ready")
    parts = {(each["part"], each["name"]) for each in found["parts"]}
    assert parts >= {("app", "shop"), ("component", "statestore"), ("component", "vault")}
    (row,) = shell.json("list")
    assert row["sidecar"] == ("daprd" if service.kind == "real" else "embedded")
    assert (row["appId"], row["replicas"]) == ("shop", 1)


def test_a_sidecar_that_the_environment_names(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, service: Service
) -> None:
    """Elsewhere the variables of Dapr's SDKs say where the sidecar is, and its token."""
    from daprflow.launcher.folder import DataFolder

    record = DataFolder(service.folder / ".daprflow").running()
    assert record is not None
    (app,) = record.apps
    monkeypatch.chdir(tmp_path)
    assert shell.problem("state", "get", "statestore", "k") == (4, "NOTHING_RUNS", 0)
    monkeypatch.setenv("DAPR_HTTP_ENDPOINT", f"http://localhost:{app.http_port}/")
    monkeypatch.setenv("DAPR_GRPC_PORT", str(app.grpc_port))
    monkeypatch.setenv("DAPR_API_TOKEN", app.api_token or "")
    assert shell("state", "get", "statestore", "nothing") == 3
    assert shell.json("job", "list") == []
    monkeypatch.setenv("DAPR_HTTP_ENDPOINT", "nonsense")
    assert shell("state", "get", "statestore", "k") == 2
    assert "DAPR_HTTP_ENDPOINT is 'nonsense'" in shell.err
    monkeypatch.setenv("DAPR_HTTP_ENDPOINT", "http://127.0.0.1:1")
    assert shell.problem("state", "get", "statestore", "k") == (4, "SIDECAR_AWAY", 0)
