"""G11: secrets that are planted everywhere are found nowhere but where they belong."""

import asyncio
import contextlib
import itertools
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.harness.goals import Goal, Result, Size
from tests.faults.harness.raw import Pairs, exchange, request, status_of
from tests.helpers.cli_run import Run, finish, write
from tests.helpers.collector import Collector
from tests.helpers.own_ports import free_port

APP = """
import os
from msgspec import Struct
from daprflow import Client, DaprFlow, Drop, Retry, WorkflowContext

app = DaprFlow("shop")

class Order(Struct):
    id: str
    total: int

@app.topic("pubsub", "orders", dead_letter="dead")
async def on_order(order: Order, *, client: Client) -> None:
    await client.secret("vault", "key")
    if order.total < 0:
        raise Drop("negative")
    raise ValueError("no order is good")

@app.topic("pubsub", "dead")
async def on_dead(data: bytes) -> None: ...

@app.invoke
async def total(order: Order, *, client: Client) -> int:
    print(repr(client), repr(await client.secrets("vault")), repr(app), flush=True)
    return order.total

@app.invoke
async def fail(order: Order, *, client: Client) -> int:
    held = await client.secret("vault", "key")
    raise RuntimeError(f"failed with {len(held)} characters")

@app.invoke
async def outside(*, client: Client) -> str:
    answer = await client.binding("web", "get", b"")
    return "called"

@app.invoke
async def tell(order: Order, *, client: Client) -> int:
    held = await client.secret("vault", "key")
    try:
        raise OSError(f"no way to {held}")
    except OSError as error:
        raise RuntimeError("failed") from error

@app.activity
async def charge(order: Order, *, client: Client) -> int:
    await client.secret("vault", "key")
    raise ValueError("no money")

@app.workflow
async def checkout(ctx: WorkflowContext, order: Order) -> int:
    return await ctx.call(charge, order)
"""
COMPONENTS = """
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {{name: statestore}}
spec:
  type: state.sqlite
  version: v1
  metadata:
    - {{name: connectionString, value: .daprflow/state.db}}
    - {{name: actorStateStore, value: "true"}}
---
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {{name: pubsub}}
spec: {{type: pubsub.in-memory, version: v1}}
---
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {{name: vault}}
spec:
  type: secretstores.local.file
  version: v1
  metadata: [{{name: secretsFile, value: secrets.json}}]
---
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {{name: web}}
spec:
  type: bindings.http
  version: v1
  metadata:
    - {{name: url, value: "http://127.0.0.1:1/"}}
    - {{name: securityToken, secretKeyRef: {{name: key, key: key}}}}
    - {{name: securityTokenHeader, value: x-token}}
auth: {{secretStore: vault}}
---
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {{name: other}}
spec:
  type: bindings.http
  version: v1
  metadata:
    - {{name: url, value: "http://127.0.0.1:1/"}}
    - {{name: securityToken, value: {metadata}}}
    - {{name: securityTokenHeader, value: x-token}}
"""


INSTANCE = "told"
EXPORTED = (("PROTOCOL", "http/protobuf"), ("INSECURE", "true"))
"""How spans are sent, as the variables of OpenTelemetry say it."""
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
SIDE_BY_SIDE = 16
SHOWN = 300


def planted(what: str) -> str:
    """Return a secret that stands nowhere else."""
    return f"canary-{what}-{secrets.token_hex(12)}"


@dataclass(frozen=True, slots=True)
class Canaries:
    """What must be found nowhere.

    Attributes:
        api: the token of the sidecar's callers.
        app: the token of the app.
        former: the one before.
        vault: in a secret store, and from there in a component.
        metadata: in a component file.
        header: in headers of callers.
        payload: in payloads, which databases may hold and nothing else.
    """

    api: str = field(default_factory=lambda: planted("api"))
    app: str = field(default_factory=lambda: planted("app"))
    former: str = field(default_factory=lambda: planted("former"))
    vault: str = field(default_factory=lambda: planted("vault"))
    metadata: str = field(default_factory=lambda: planted("metadata"))
    header: str = field(default_factory=lambda: planted("header"))
    payload: str = field(default_factory=lambda: planted("payload"))

    def found(self, text: str, *, kept: bool = False) -> list[str]:
        """Return which of them are in a text; ``kept`` is a place for payloads."""
        names = ("api", "app", "former", "vault", "metadata", "header", "payload")
        every = {name: getattr(self, name) for name in names if name != "payload" or not kept}
        return [name for name, value in every.items() if value in text]

    @property
    def environment(self) -> dict[str, str]:
        """What the run is started with."""
        names = ("DAPR_API_TOKEN", "APP_API_TOKEN", "APP_API_TOKEN_PREVIOUS")
        return dict(zip(names, (self.api, self.app, self.former), strict=True))


def calls(canaries: Canaries) -> Iterator[tuple[str, str, bytes]]:
    """Yield what is asked of the sidecar: verb, path and body; much of it fails."""
    good = f'{{"id": "{canaries.payload}", "total": 5}}'.encode()
    wrong = f'{{"id": 7, "total": "{canaries.payload}"}}'.encode()
    torn = good[:-3]
    invoke, state = "/v1.0/invoke/shop/method", "/v1.0/state/statestore"
    for body in (good, wrong, torn):
        yield "POST", "/v1.0/publish/pubsub/orders", body
        yield "POST", "/v1.0/publish/none/orders", body
        for method in ("total", "fail", "tell", "none"):
            yield "POST", f"{invoke}/{method}", body
        yield "POST", "/v1.0/invoke/nobody/method/x", body
        yield "POST", state, b'[{"key": "a", "value": ' + body + b"}]"
        yield "POST", f"{state}/transaction", body
        yield "POST", "/v1.0/bindings/web", body
        yield "POST", "/v1.0/bindings/none", body
        yield "POST", "/v1.0/workflows/dapr/checkout/start", body
        yield "POST", "/v1.0-alpha1/jobs/report", body
        yield "POST", "/v1.0/actors/None/a/method/x", body
        yield "PUT", "/v1.0/metadata/key", b"plain"
    yield "POST", f"/v1.0/workflows/dapr/checkout/start?instanceID={INSTANCE}", good
    yield "POST", f"{invoke}/outside", b""
    yield "POST", "/v1.0/bindings/web", b'{"operation": "get"}'
    yield "POST", "/v1.0/bindings/other", b'{"operation": "get"}'
    yield "GET", "/v1.0/metadata", b""
    yield "GET", "/v1.0/secrets/vault/none", b""


async def asked(run: Run, canaries: Canaries, metrics: int) -> list[str]:
    """Ask for everything with the token, with wrong ones and with none; return the answers."""
    port = run.port("Dapr HTTP")
    plain: Pairs = (("Host", "localhost"), ("Connection", "close"), ("traceparent", TRACE))
    carried = (("Authorization", f"Bearer {canaries.header}"), ("X-Mine", canaries.header))
    several = asyncio.Semaphore(SIDE_BY_SIDE)

    async def one(verb: str, path: str, body: bytes, token: str) -> str:
        told = (("dapr-api-token", token), ("Content-Type", "application/json"))
        async with several:
            answer = await exchange(port, request(verb, path, (*plain, *carried, *told), body))
        return answer.decode("latin-1")

    tokens = (canaries.api, canaries.header)
    tried = itertools.product(calls(canaries), tokens)
    found = list(await asyncio.gather(*(one(*call, token) for call, token in tried)))
    head = [*plain, ("dapr-api-token", canaries.header)]
    event = b'{"specversion": "1.0", "id": "1", "data": "%s"}' % canaries.payload.encode()
    for path in ("/dapr/subscribe", "/dapr/topics/pubsub/orders", "/total", "/none"):
        for verb in ("GET", "POST"):
            answer = await exchange(run.port("app"), request(verb, path, head, event))
            found.append(answer.decode("latin-1"))
    answer = await exchange(metrics, request("GET", "/metrics", plain))
    if status_of(answer) != 200:
        found.append(f"no metrics: {canaries.api}")
    return [*found, answer.decode("latin-1")]


def written(home: Path) -> list[Path]:
    """Return what a run has left of itself."""
    return [*(home / ".daprflow").rglob("*")]


async def told(home: Path, env: dict[str, str], canaries: Canaries) -> tuple[list[str], str]:
    """Run the app; return what was answered and printed, and what is told of a workflow."""
    metrics = free_port()
    flags = ("--sidecar", "embedded", "--log-level", "debug", "--metrics-port", str(metrics))
    with Run(home, "run", *flags, "app.py", env=env) as started:
        await asyncio.to_thread(started.ready)
        answers = await asked(started, canaries, metrics)
        answers.append(await asyncio.to_thread(command, home, ("list",), env))
        history = await asyncio.to_thread(command, home, ("show", INSTANCE), env)
        history += await asyncio.to_thread(command, home, ("history", INSTANCE), env)
        started.process.terminate()
        await asyncio.to_thread(started.ended)
        return [*answers, started.text], history


def command(home: Path, words: tuple[str, ...], env: dict[str, str]) -> str:
    """Ask for workflows on the command line; return what it says."""
    return finish(home, "workflow", *words, env=env)[1]


async def run(formats: tuple[str, ...], folder: Path, seed: int) -> Result:
    """Run an app with secrets everywhere, have much of it fail, and look through all there is."""
    del seed
    result = Result()
    texts = files = 0
    for form in formats:
        canaries, home = Canaries(), folder / form
        components = COMPONENTS.format(metadata=canaries.metadata)
        secret = f'{{"key": "{canaries.vault}"}}'
        parts = {"app.py": APP, "resources/all.yaml": components, "secrets.json": secret}
        await asyncio.to_thread(write, home, parts)
        env = {**canaries.environment, "DAPRFLOW_LOG_FORMAT": form, "DAPRFLOW_METRICS": "on"}
        with Collector() as collector:
            for name, value in (("ENDPOINT", collector.url), *EXPORTED):
                env[f"OTEL_EXPORTER_OTLP_{name}"] = value
            answers, history = await told(home, env, canaries)
            spans = [each.body.decode("latin-1") for each in collector.posted]
        if "RuntimeError" not in "".join(spans) or INSTANCE not in history:
            result.problems.append(f"{form}: no failed call is in a span, or no workflow was told")
        result.problems += [
            f"{form}: {name} in the history" for name in canaries.found(history, kept=True)
        ]
        answers += spans
        texts += len(answers) + 1
        for text in answers:
            shown = canaries.found(text)
            result.problems += [f"{form}: {name} in {text[:SHOWN]!r}" for name in shown]
        for path in await asyncio.to_thread(written, home):
            with contextlib.suppress(IsADirectoryError, FileNotFoundError):
                files += 1
                text = await asyncio.to_thread(path.read_text, "latin-1")
                kept = ".db" in path.name
                result.problems += [
                    f"{form}: {name} in {path.name}" for name in canaries.found(text, kept=kept)
                ]
    result.counts = {"texts": texts, "files": files, "canaries": 7 * len(formats)}
    return result


GOAL = Goal(
    "G11",
    "no secret is in a log, an error, a traceback, an answer, metrics, a span, a history or a file",
    {Size.QUICK: ("console",), Size.FULL: ("console", "json")},
    run,
)
