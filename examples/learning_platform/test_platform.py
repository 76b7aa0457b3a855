"""The whole platform by one command, its processes killed while orders run: nothing is lost."""

import json
import os
import shutil
import signal
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from daprflow.launcher.exits import Exit
from examples.learning_platform.services.contracts import Certificate, Order, Outcome, Watched
from examples.learning_platform.services.payments import WELCOME
from examples.learning_platform.services.reports import Figures
from tests.helpers.cli_run import Run
from tests.helpers.collector import Collector

T = TypeVar("T")
HERE = Path(__file__).parent
WITHIN = 60.0
LAPTOP = ("--resources-path", "components/laptop")
CLUSTER = ("--resources-path", "components/cluster", "--stand-in", "state.postgresql")
SECRETS = {
    "vault": {"receipts-key": "a-key"},
    "kubernetes": {
        "postgres": {"dsn": "host=nowhere"},
        "kafka": {"username": "school", "password": "a-word"},
        "smtp": {"user": "school", "password": "a-word"},
    },
}

pytestmark = [
    pytest.mark.sockets,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="counts through /proc"),
]


class App(msgspec.Struct):
    """An app, as a run notes it."""

    app_id: str
    app_port: int
    http_port: int
    app_pid: int


class Apps(msgspec.Struct):
    apps: list[App]


@dataclass(frozen=True, slots=True)
class Platform:
    """The services of a folder, as a browser and an operator see them."""

    folder: Path
    components: tuple[str, ...]
    environment: dict[str, str]

    def command(self, *words: str) -> Run:
        """Start ``daprflow run`` with what is left of the command line."""
        return Run(self.folder, "run", *words, *self.components, env=self.environment)

    def app(self, app_id: str) -> App:
        """Return where an app is, and its process."""
        record = (self.folder / ".daprflow" / "run.json").read_bytes()
        found = msgspec.json.decode(record, type=Apps).apps
        return next(each for each in found if each.app_id == app_id)

    def kill(self, app_id: str) -> None:
        """Kill the process of an app, without a chance to clean up."""
        os.kill(self.app(app_id).app_pid, signal.SIGKILL)

    def ask(self, path: str, body: object = None) -> bytes:
        """Call the gateway as a browser does; go on until it answers."""
        return wait_for(lambda: self._answer(self.app("gateway").app_port, path, body))

    def call(self, app_id: str, method: str, body: object = None, *, kind: type[T]) -> T:
        """Call a method of a service through a sidecar, as the command line does."""
        path = f"/v1.0/invoke/{app_id}/method/{method}"
        port = self.app("gateway").http_port
        answer = wait_for(lambda: self._answer(port, path, body, verb="POST"))
        return msgspec.json.decode(answer, type=kind)

    def order(self, *orders: Order) -> None:
        """Place orders, each twice, as somebody does who got no answer the first time."""
        for order in (*orders, *orders):
            assert json.loads(self.ask("/orders", order)) == {"order": order.id}

    def publish(self, topic: str, event: object) -> None:
        """Publish an event, whatever it looks like."""
        port = self.app("gateway").http_port
        assert self._answer(port, f"/v1.0/publish/pubsub/{topic}", event) is not None

    def outcome(self, order: Order) -> Outcome:
        """Return how an order ended; wait for its end."""

        def ended() -> Outcome | None:
            found = msgspec.json.decode(self.ask(f"/orders/{order.id}"), type=Outcome)
            return None if found.state == "open" else found

        return wait_for(ended)

    def _answer(self, port: int, path: str, body: object, verb: str = "") -> bytes | None:
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}{path}",
            method=verb or ("GET" if body is None else "POST"),
            data=None if body is None else encoded(body),
            headers={"content-type": "text/plain" if isinstance(body, str) else "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=WITHIN) as answer:  # noqa: S310 - http
                content: bytes = answer.read()
                return content
        except urllib.error.HTTPError as error:
            error.close()  # not there yet, or on its way up
            return None


def encoded(body: object) -> bytes:
    """Return a body: a text as it is, all else as JSON."""
    return body.encode() if isinstance(body, str) else msgspec.json.encode(body)


def wait_for(look: Callable[[], T | None]) -> T:
    """Look until there is something, or time is up."""
    deadline = time.monotonic() + WITHIN
    while time.monotonic() < deadline:
        try:
            found = look()
        except (OSError, StopIteration, msgspec.DecodeError):
            found = None  # it is on its way up
        if found is not None:
            return found
        threading.Event().wait(0.1)
    raise AssertionError("time is up")


def running(run: Run) -> Run:
    """Wait until all services are up."""
    wait_for(lambda: " healthy in " in run.text or " healthy after " in run.text or None)
    assert "all 9 healthy in" in run.text, run.text
    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a copy of the platform, as a team would make one."""
    copy = tmp_path / "platform"
    shutil.copytree(HERE, copy, ignore=shutil.ignore_patterns(".*", "__pycache__", "test_*"))
    (copy / ".daprflow").mkdir()
    (copy / ".daprflow" / "secrets.json").write_text(json.dumps(SECRETS))
    return copy


def orders_of(part: int) -> list[Order]:
    """Return what is ordered in one part of the day."""
    ann, bob, cy = (f"{name}{part}" for name in ("ann", "bob", "cy"))
    return [
        Order(f"{ann}-python", ann, "python"),
        Order(f"{bob}-python", bob, "python"),
        Order(f"{bob}-again", bob, "python"),  # one of both is taken back at its last step
        Order(f"{cy}-opera", cy, "opera"),  # costs more than anybody has
        Order(f"{cy}-sailing", cy, "sailing"),  # has two seats in all
    ]


# --8<-- [start:day]
@pytest.mark.parametrize(
    ("components", "traced"), [(LAPTOP, True), (CLUSTER, False)], ids=["laptop", "cluster"]
)
def test_no_order_is_lost_and_none_is_charged_twice(
    folder: Path, components: tuple[str, ...], *, traced: bool
) -> None:
    """Services and the sidecar are killed while orders run; each order is done or undone whole."""
    with Collector() as collector:
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url} if traced else {}
        platform = Platform(folder, components, environment)
        with platform.command("-f", ".") as first:
            running(first)
            platform.publish("orders-placed", {"id": 7})
            platform.order(*orders_of(1))
            platform.kill("payments")
            platform.order(*orders_of(2))
            first.until("app 'payments': the app was ended by SIGKILL")
            with platform.command("services/payments.py").ready() as payments:
                platform.kill("orders")
                platform.order(*orders_of(3))
                first.process.kill()  # the sidecar of all services: they end with it
                assert first.all_gone()
                assert payments.ended() == Exit.HOST_LOST
        with platform.command("-f", ".") as second:
            running(second)
            platform.order(*orders_of(4))
            check_orders(platform, [order for part in range(1, 5) for order in orders_of(part)])
            check_lessons(platform)
            second.send(signal.SIGTERM)
            assert second.ended() == 0, second.text
            assert second.all_gone()
    if traced:
        assert services_of_one_trace(collector) >= {"orders", "catalog", "payments", "lessons"}


def check_orders(platform: Platform, placed: list[Order]) -> None:
    """Compare what the services say with each other, and with what was ordered."""
    ends = [platform.outcome(order) for order in placed]
    fulfilled = [each for each in ends if each.state == "fulfilled"]
    reasons = Counter(each.reason for each in ends if each.state == "cancelled")
    assert reasons == {"AlreadyEnrolledError": 4, "DeclinedError": 4, "SoldOutError": 2}
    for course in ("python", "sailing", "opera"):
        seats = platform.call("catalog", "taken", course, kind=list[str])
        assert sorted(seats) == sorted(each.order for each in fulfilled if each.course == course)
    for student in {order.student for order in placed}:
        paid = sum(each.paid for each in fulfilled if each.student == student)
        assert platform.call("payments", "balance", student, kind=int) == WELCOME - paid
    wanted = Figures(10, 10, sum(each.paid for each in fulfilled))
    wait_for(lambda: platform.call("reports", "figures", kind=Figures) == wanted or None)
    wait_for(lambda: len(platform.call("notifications", "dead", kind=list[str])) == 1 or None)
    # --8<-- [end:day]


def check_lessons(platform: Platform) -> None:
    """Rooms that were opened before the sidecar was killed are open, and lead to a certificate."""
    for lesson in (1, 2, 3):
        platform.ask("/lessons", Watched("ann1", "python", lesson))
    found = platform.ask("/certificates/ann1/python")
    assert msgspec.json.decode(found, type=Certificate).title == "Python from the start"


def services_of_one_trace(collector: Collector) -> set[str]:
    """Return the services that took part in the trace that has most of them."""
    found: dict[bytes, set[str]] = {}
    for posted in collector.posted:
        for resource in ExportTraceServiceRequest.FromString(posted.body).resource_spans:
            names = (each for each in resource.resource.attributes if each.key == "service.name")
            service = next(names).value.string_value
            for scope in resource.scope_spans:
                for span in scope.spans:
                    found.setdefault(span.trace_id, set()).add(service)
    return max(found.values(), key=len)
