"""What an app counts, where it is served, and that every metric on the list is really there."""

import asyncio
import io
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from daprflow import (
    Actor,
    AppDefinitionError,
    Client,
    DaprFlow,
    Drop,
    Endpoint,
    Retry,
    Status,
    Topic,
    Workflow,
    WorkflowContext,
)
from daprflow.handlers.handler import Delivery, Outcome
from daprflow.handlers.verdicts import SUCCESS
from daprflow.observability import Logs, Metrics, Observability
from daprflow.observability.dashboard import dashboard, dashboard_text, page
from daprflow.observability.metric_list import METRICS, MetricKind
from daprflow.observability.metrics import (
    LONGEST_LABEL,
    MOST_CALLS,
    TOGETHER,
    CallMeter,
    DeliveryMeter,
    Registry,
    label,
)
from daprflow.observability.metrics_options import metrics_from
from daprflow.observability.metrics_watcher import MetricsWatcher
from daprflow.observability.watching import Handled
from daprflow.settings import SettingsError
from daprflow.testing import TestSidecar
from tests.helpers.asgi import call_asgi

REFERENCE = Path(__file__).parents[3] / "docs" / "reference"
ON = Observability(metrics=True)
_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)


class Order(msgspec.Struct):
    id: int


class Cart(msgspec.Struct):
    items: list[str] = msgspec.field(default_factory=list)


orders = Topic("pubsub", "orders", Order)


def make(observability: Observability = ON) -> DaprFlow:
    """An app with something of each kind."""
    app = DaprFlow("shop", observability=observability)

    @app.topic(orders, dead_letter="dead")
    def on_order(order: Order) -> None:
        if order.id == 2:
            raise Drop("no")
        if order.id == 3:
            raise Retry
        if order.id == 4:
            raise ValueError("broken")

    @app.actor
    class CartActor(Actor[Cart]):
        async def add(self, item: str) -> int:
            self.state.items.append(item)
            return len(self.state.items)

    @app.invoke
    async def quote(order: Order, *, client: Client) -> int:
        return await client.actor(CartActor, "ann").add("sku")

    @app.activity
    async def charge(order: Order) -> int:
        return order.id

    @app.workflow
    async def checkout(ctx: WorkflowContext, order: Order) -> int:
        return await ctx.call(charge, order)

    app.work()
    return app


async def scraped(app: DaprFlow, path: str = "/metrics") -> str:
    """The text of a scrape."""
    answer = await call_asgi(app, "GET", path)
    assert answer.status == 200
    return answer.body.decode()


def value(text: str, metric: str, /, **labels: str) -> float:
    """The sum of the samples of a name that have these labels."""
    wanted = {f'{key}="{each}"' for key, each in labels.items()}
    found = [
        float(number)
        for sample, given, number in _SAMPLE.findall(text)
        if sample == metric and wanted <= set(re.findall(r'\w+="[^"]*"', given))
    ]
    assert found, f"nothing is called {metric} with {labels}"
    return sum(found)


async def test_every_metric_of_the_list_is_emitted() -> None:
    """After one of everything, each metric has a series, and those that count have counted."""
    app = make()
    async with TestSidecar(app) as dapr:
        for number, verdict in enumerate((Status.SUCCESS, Status.DROP, Status.RETRY), 1):
            assert await dapr.publish(orders, Order(number)) is verdict
        await dapr.publish(orders, Order(4))
        assert await dapr.invoke(Endpoint("shop", "quote", Order, int), Order(1)) == 1
        run = await dapr.start(Workflow("shop", "checkout", Order, int), Order(7))
        assert await run.result() == 7
        await app.client.state("store").get("k", Order)
        text = await scraped(app)
    for metric in METRICS:
        shown = f"{metric.name}_count" if metric.kind is MetricKind.HISTOGRAM else metric.name
        assert f"# TYPE {metric.name} {metric.kind}" in text
        if metric.name not in _SELDOM:
            assert re.search(rf"^{shown}[{{ ]", text, re.MULTILINE), metric.name
    topic = {"block": "topic", "name": "pubsub/orders", "handler": "on_order"}
    assert value(text, "daprflow_deliveries_total", **topic, verdict="success") == 1
    assert value(text, "daprflow_deliveries_total", **topic, verdict="drop") == 1
    assert value(text, "daprflow_deliveries_total", **topic, verdict="retry") >= 1
    assert value(text, "daprflow_deliveries_total", **topic, verdict="error") >= 1
    assert value(text, "daprflow_delivery_duration_seconds_count", **topic) >= 4
    assert value(text, "daprflow_deliveries_in_flight", **topic) == 0
    assert value(text, "daprflow_thread_wait_seconds_count") >= 4
    assert value(text, "daprflow_actor_turn_wait_seconds_count", actor_type="CartActor") == 1
    assert value(text, "daprflow_actors_active", actor_type="CartActor") == 1
    assert value(text, "daprflow_workflow_turns_total", workflow="checkout", outcome="waiting") == 1
    assert value(text, "daprflow_workflow_turns_total", outcome="completed") == 1
    assert value(text, "daprflow_activities_total", activity="charge", outcome="completed") == 1
    assert value(text, "daprflow_client_calls_total", block="state", code="204") == 1
    assert value(text, "daprflow_client_call_duration_seconds_count", block="actors") >= 1
    assert value(text, "daprflow_sidecar_up") == 1
    assert value(text, "daprflow_app_info", app_id="shop") == 1


_SELDOM = {"daprflow_client_retries_total", "daprflow_client_queue_wait_seconds"}
"""What only troubles bring; see `test_repetitions_and_queues_are_counted`."""


def test_repetitions_and_queues_are_counted() -> None:
    """A call that was sent again, or waited for its turn, says so."""
    registry = Registry({})
    meter = CallMeter(registry)
    meter.more("state", "get", 2, 0.25)
    text = registry.page()[0].decode()
    assert value(text, "daprflow_client_retries_total", block="state", operation="get") == 2
    assert value(text, "daprflow_client_queue_wait_seconds_sum", block="state") == 0.25


async def test_a_call_in_flight_is_seen() -> None:
    """What is being handled stands in the gauge until it has ended."""
    app = DaprFlow("shop", observability=ON)
    begun, may_end = asyncio.Event(), asyncio.Event()

    @app.invoke
    async def slow() -> None:
        begun.set()
        await may_end.wait()

    async with app.lifespan():
        call = asyncio.create_task(call_asgi(app, "POST", "/slow"))
        await begun.wait()
        assert value(await scraped(app), "daprflow_deliveries_in_flight", handler="slow") == 1
        may_end.set()
        await call
        assert value(await scraped(app), "daprflow_deliveries_in_flight", handler="slow") == 0


async def test_another_app_may_not_read_metrics() -> None:
    """A scrape that a sidecar relays for an app is refused; the page is for Prometheus."""
    app = make()
    async with app.lifespan():
        relayed = (("host", "localhost"), ("dapr-caller-app-id", "other"))
        assert (await call_asgi(app, "GET", "/metrics", relayed)).status == 403


async def test_without_metrics_nothing_is_counted_or_served() -> None:
    """The environment asks for none, so there is no page, and a handler is called as it is."""
    app = make(Observability(metrics=False))
    before = {id(route.handler.call) for route in app._frozen().routes}
    async with app.lifespan():
        assert (await call_asgi(app, "GET", "/metrics")).status == 404
        assert {id(route.handler.call) for route in app._frozen().routes} == before
        assert app._pool.meter is None


async def test_a_path_of_the_apps_own_is_not_taken() -> None:
    """An app that answers on the path of metrics does not start, and is told both ways out."""
    app = DaprFlow("shop", observability=ON)

    @app.invoke("GET", "/metrics")
    async def own() -> str:
        return "mine"

    with pytest.raises(AppDefinitionError, match=r"'GET /metrics'.*give one of them another path"):
        async with app.lifespan():
            pass
    elsewhere = DaprFlow("shop", observability=Observability(metrics=Metrics(path="/internal")))
    async with elsewhere.lifespan():
        assert "daprflow_app_info" in await scraped(elsewhere, "/internal")


async def test_a_port_of_its_own() -> None:
    """A server in a thread answers there, and the app has no page."""
    import aiohttp

    from daprflow.observability.metrics_watcher import MetricsWatcher

    watcher = MetricsWatcher("shop", "1", Metrics(port=0), Registry({}))
    app = make(Observability(metrics=False, watchers=[watcher]))
    async with app.lifespan(), aiohttp.ClientSession() as session:
        assert watcher.server is not None
        url = f"http://127.0.0.1:{watcher.server.port}/metrics"
        async with session.get(url) as answer:
            assert "daprflow_app_info" in await answer.text()
        assert (await call_asgi(app, "GET", "/metrics")).status == 404
        taken = make(Observability(metrics=Metrics(port=watcher.server.port)))
        with pytest.raises(Exception, match="metrics cannot be served on"):
            async with taken.lifespan():
                pass


@pytest.mark.parametrize(
    ("text", "metrics"),
    [
        ("", None),
        ("off", None),
        ("on", Metrics()),
        ("/m", Metrics(path="/m")),
        ("9464", Metrics(port=9464)),
        ("0.0.0.0:9464", Metrics(host="0.0.0.0", port=9464)),
        ("[::1]:9464", Metrics(host="::1", port=9464)),
    ],
)
def test_the_environment_says_where(text: str, metrics: Metrics | None) -> None:
    """DAPRFLOW_METRICS names a place, or that there is none."""
    assert metrics_from({"DAPRFLOW_METRICS": text}) == metrics


@pytest.mark.parametrize("text", ["maybe", "70000", ":x", "/"])
def test_a_place_that_is_none_is_an_error(text: str) -> None:
    """What cannot be understood is told with the variable's name."""
    with pytest.raises(SettingsError, match="DAPRFLOW_METRICS"):
        metrics_from({"DAPRFLOW_METRICS": text})


@pytest.mark.row("S-29", "S-44")
def test_labels_stay_few_and_harmless() -> None:
    """Names are escaped and cut, and calls beyond a number are counted as others (S-29, S-44)."""
    assert label("a\nb\x1b") == "a\\nb\\x1b"
    assert len(label("x" * 1000)) == LONGEST_LABEL
    registry = Registry({})
    meter = CallMeter(registry)
    for number in range(MOST_CALLS + 50):
        meter.call(f"block{number}", "get", "200", 0.1)
    text = registry.page()[0].decode()
    assert value(text, "daprflow_client_calls_total", block="other") == 50
    assert len(re.findall(r"^daprflow_client_calls_total", text, re.MULTILINE)) == MOST_CALLS + 1


@pytest.mark.row("S-44")
async def test_a_foreign_workflow_name_makes_no_series() -> None:
    """Only workflows that the app has are labels (S-44)."""
    from daprflow.observability.metrics_watcher import MetricsWatcher
    from daprflow.protocol.workflow_actions import Turn
    from daprflow.workflows.turns import WorkflowTurn

    registry = Registry({})
    watcher = MetricsWatcher("shop", "1", Metrics(), registry)

    async def go(_: WorkflowTurn) -> Turn:
        return Turn()

    for number in range(20):
        await watcher.turn(go)(WorkflowTurn("i", f"strange-{number}"))
    text = registry.page()[0].decode()
    assert value(text, "daprflow_workflow_turns_total", workflow="unknown") == 20
    assert "strange" not in text


def test_the_page_and_the_dashboard_are_up_to_date() -> None:
    """Both are made of the list; the file's head says how."""
    text = (REFERENCE / "metrics.md").read_text(encoding="utf-8")
    assert text.endswith(page())
    stored = (REFERENCE / "grafana-dashboard.json").read_text(encoding="utf-8")
    assert stored == dashboard_text()


def test_the_dashboard_shows_every_metric() -> None:
    """Each metric has a panel whose queries name it, and no two panels lie on one another."""
    panels = dashboard()["panels"]
    shown = {each["title"] for each in panels if each["type"] == "timeseries"}
    assert shown == {each.name for each in METRICS}
    for each in panels:
        assert all(each["title"] in target["expr"] for target in each.get("targets", ()))
    places = [(each["gridPos"]["x"], each["gridPos"]["y"]) for each in panels]
    assert len(set(places)) == len(places)
    assert len({each["id"] for each in panels}) == len(panels)


SEVERAL = """
import os, sys
from daprflow.observability.metrics import DeliveryMeter, Registry
from daprflow.handlers.handler import Delivery
from daprflow.handlers.verdicts import SUCCESS
registry = Registry()
meter = DeliveryMeter(registry, ("topic", "a/b", "on"))
delivery = Delivery("topic", "a/b", b"{}")
meter.begin(delivery); meter.end(None, delivery, SUCCESS, 0.1)
meter.sample()
if sys.argv[1:] == ["show"]:
    sys.stdout.write(registry.page()[0].decode())
"""


def test_the_environment_is_read_when_a_registry_is_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Not when the module is loaded, and not where another environment is given."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    monkeypatch.setattr(os, "environ", dict(os.environ))
    assert Registry().several
    assert not Registry({}).several
    monkeypatch.setattr(os, "environ", {})
    assert not Registry().several


def test_several_processes_count_together(tmp_path: Path) -> None:
    """With prometheus-client's folder, a scrape of one process has the counts of all."""
    environment: Mapping[str, str] = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    text = ""
    for arguments in ([], ["show"]):
        text = subprocess.run(
            [sys.executable, "-c", SEVERAL, *arguments],
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    assert value(text, "daprflow_deliveries_total", verdict="success") == 2
    assert value(text, "daprflow_delivery_duration_seconds_count", block="topic") == 2


def test_the_extra_is_named_where_it_is_missing() -> None:
    """Without prometheus-client, whoever asks for metrics is given the pip line."""
    program = (
        "import sys; sys.modules['prometheus_client'] = None\n"
        "from daprflow.observability import Observability\n"
        "Observability(metrics=True).resolved('a', {})"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    assert "pip install 'daprflow[metrics]'" in done.stderr


async def test_a_client_of_the_authors_is_left_as_it_was() -> None:
    """After a run, nothing of the metrics and logs is around its calls any more."""
    app = make(Observability(metrics=True, logs=Logs(stream=io.BytesIO())))
    app.client = client = Client()
    async with app.lifespan():
        assert len(client.interceptors) == 2
    assert not client.interceptors
    assert app._pool.meter is None


def counts(registry: Registry) -> tuple[float, float]:
    """How many deliveries and how many durations are counted."""
    text = registry.page()[0].decode()
    seconds = value(text, "daprflow_delivery_duration_seconds_count", block="topic")
    return value(text, "daprflow_deliveries_total", block="topic", verdict="success"), seconds


def test_deliveries_that_are_collected_are_counted_for_who_asks() -> None:
    """Some wait until somebody looks, and never more than a few."""
    registry = Registry({})
    meter = DeliveryMeter(registry, ("topic", "pubsub/orders", "on_order"))
    delivery = Delivery("topic", "pubsub/orders", b"{}")
    for _ in range(TOGETHER + 2):
        meter.begin(delivery)
        meter.end(None, delivery, SUCCESS, 0.01)
    assert counts(registry) == (TOGETHER, TOGETHER)
    meter.sample()
    assert counts(registry) == (TOGETHER + 2, TOGETHER + 2)
    assert meter.in_flight == 0


async def test_what_is_collected_is_counted_when_the_app_ends() -> None:
    """Nothing is lost between the last look and the end."""
    registry = Registry({})
    watcher = MetricsWatcher("shop", "1", Metrics(), registry)
    handled = Handled("topic", "pubsub/orders", "on_order", "on_order")

    async def handle(delivery: Delivery) -> Outcome:
        del delivery
        return SUCCESS

    async with watcher.live():
        await watcher.delivery(handled, handle)(Delivery("topic", "pubsub/orders", b"{}"))
        registry.sample = lambda: None
    assert counts(registry) == (1, 1)
