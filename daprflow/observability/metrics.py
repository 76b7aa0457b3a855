"""The metrics of one app in prometheus-client; loaded only where somebody asks for them."""

import asyncio
import os
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from daprflow.errors import MissingExtra
from daprflow.handlers.handler import Delivery, Outcome
from daprflow.handlers.verdicts import SUCCESS as GOOD
from daprflow.observability.metric_list import (
    CLIENT_CALLS,
    CLIENT_QUEUE,
    CLIENT_RETRIES,
    CLIENT_SECONDS,
    DELIVERIES,
    DELIVERY_SECONDS,
    IN_FLIGHT,
    METRICS,
    Metric,
    MetricKind,
)
from daprflow.observability.metrics_options import MULTIPROCESS_VARIABLE
from daprflow.observability.verdict_names import CANCELLED, RETRY, SUCCESS, VERDICTS, verdict_of
from daprflow.observability.watches import Watch

try:
    import prometheus_client
    from prometheus_client import multiprocess
    from prometheus_client.exposition import choose_encoder
except ImportError as error:
    raise MissingExtra("metrics for Prometheus", "metrics") from error

LONGEST_LABEL = 120
"""Characters of a label's value; only names that the app's code declares come near."""
MOST_CALLS = 500
"""Series of client calls; a further one is counted as 'other'."""
OTHER = "other"
TOGETHER = 256
"""Deliveries that are counted in one go, where nobody asks before."""


class Registry:
    """One app's metrics.

    Args:
        environ: says whether several processes count together; None for the process's own.

    Attributes:
        several: whether this is one of several processes whose values are put together.
        sample: called before every scrape, to look at what is not counted by itself.
    """

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        found = os.environ if environ is None else environ
        self.several = bool(found.get(MULTIPROCESS_VARIABLE))
        self.own = prometheus_client.CollectorRegistry(auto_describe=False)
        self.sample: Callable[[], None] = lambda: None
        self._families = {each.name: _family(each, self.own) for each in METRICS}

    def series(self, metric: Metric, *labels: str) -> Any:
        """Return what counts one series of a metric, made where it is new."""
        family = self._families[metric.name]
        return family.labels(*map(label, labels)) if metric.labels else family

    def collect(self) -> Iterator[Any]:
        """Give every metric: those of the app, and those that its author counts.

        Where several processes serve the app, all of theirs.
        """
        self.sample()
        if self.several:
            together = prometheus_client.CollectorRegistry()
            multiprocess.MultiProcessCollector(together)  # type: ignore[no-untyped-call]
            yield from together.collect()
            return
        for family in self.own.collect():
            # Twice the series, and nobody asks when a process began to count.
            family.samples = [each for each in family.samples if not each.name.endswith("_created")]
            yield family
        yield from prometheus_client.REGISTRY.collect()

    def page(self, accept: str = "") -> tuple[bytes, str]:
        """Return the text of a scrape and its content type, in the form that is asked for."""
        encode, content_type = choose_encoder(accept)
        found: Any = self  # only its 'collect' is asked for
        return encode(found), content_type


class Durations:
    """Counts many durations at once, in a histogram of prometheus-client.

    That counts one by one, which takes as long as all else that is counted of a delivery.
    """

    __slots__ = ("_bounds", "_buckets", "_series", "_sum")

    def __init__(self, series: Any) -> None:
        self._series = series
        # Not promised by the library: where it keeps counts otherwise, it counts one by one.
        self._bounds = getattr(series, "_upper_bounds", None)
        self._buckets = getattr(series, "_buckets", ())
        self._sum = getattr(series, "_sum", None)

    def observe(self, seconds: Sequence[float]) -> None:
        """Count each of them."""
        bounds = self._bounds
        if not bounds or self._sum is None or len(self._buckets) != len(bounds):
            for each in seconds:
                self._series.observe(each)
            return
        counts = [0] * len(bounds)
        for each in seconds:
            counts[bisect_left(bounds, each)] += 1
        for bucket, count in zip(self._buckets, counts, strict=True):
            if count:
                bucket.inc(count)
        self._sum.inc(sum(seconds))


class DeliveryMeter(Watch):
    """Counts what comes to one handler; its series are found once.

    Those that end well are collected and counted together, at the latest by `sample`.

    Attributes:
        in_flight: how many deliveries are being handled; told by `sample`.
    """

    __slots__ = (
        "_collect", "_gauge", "_good", "_observe", "_observe_all", "_seconds", "_verdicts",
        "in_flight",
    )  # fmt: skip

    def __init__(self, registry: Registry, labels: Sequence[str]) -> None:
        self.in_flight = 0
        durations = registry.series(DELIVERY_SECONDS, *labels)
        self._observe: Callable[[float], None] = durations.observe
        self._observe_all = Durations(durations).observe
        self._verdicts: Mapping[str, Callable[[float], None]] = {
            each: registry.series(DELIVERIES, *labels, each).inc for each in VERDICTS
        }
        self._good = self._verdicts[SUCCESS]
        self._seconds: deque[float] = deque()
        self._collect = self._seconds.append
        self._gauge = registry.series(IN_FLIGHT, *labels)

    def begin(self, delivery: Delivery) -> None:  # noqa: ARG002 - what it is makes no difference
        """Note that a delivery begins."""
        self.in_flight += 1

    def end(self, held: None, delivery: Delivery, outcome: Outcome, seconds: float) -> None:  # noqa: ARG002 - likewise
        """Count a delivery that has ended."""
        if outcome is not GOOD:
            self._ended(verdict_of(outcome), seconds)
            return
        self.in_flight -= 1  # nearly always, so without a detour
        self._collect(seconds)
        if len(self._seconds) >= TOGETHER:
            self._count()

    def failed(self, held: None, delivery: Delivery, error: BaseException, seconds: float) -> None:  # noqa: ARG002 - likewise
        """Count one that was let through: the app ends, or no thread is free."""
        self._ended(RETRY if isinstance(error, Exception) else CANCELLED, seconds)

    def _ended(self, verdict: str, seconds: float) -> None:
        self.in_flight -= 1
        self._observe(seconds)
        self._verdicts[verdict](1)

    def sample(self) -> None:
        """Count what is collected, and tell how many are being handled; from any thread."""
        self._count()
        self._gauge.set(self.in_flight)

    def _count(self) -> None:
        collected, found = self._seconds, list[float]()
        with suppress(IndexError):  # another thread may count, too
            while True:
                found.append(collected.popleft())
        if found:
            self._observe_all(found)
            self._good(len(found))


class CallMeter:
    """Counts calls of the sidecar; their series are found when they are first needed."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._counts: dict[tuple[str, str, str], Any] = {}
        self._others: dict[tuple[str, str, str], Any] = {}

    def call(self, block: str, operation: str, code: str, seconds: float) -> None:
        """Count a call that has ended."""
        counted = self._counts.get((block, operation, code))
        if counted is None:
            counted = self._new(block, operation, code)
        count, observe = counted
        count()
        observe(seconds)

    def more(self, block: str, operation: str, retries: int, queued: float) -> None:
        """Count how often a call was repeated, and how long it waited for its turn."""
        for metric, number in ((CLIENT_RETRIES, retries), (CLIENT_QUEUE, queued)):
            if not number:
                continue
            key = (metric.name, block, operation)
            series = self._others.get(key)
            if series is None:
                labels = (block, operation) if len(self._others) < MOST_CALLS else (OTHER, OTHER)
                series = self._others[key] = self._registry.series(metric, *labels)
            series.inc(number) if metric is CLIENT_RETRIES else series.observe(number)

    def _new(self, block: str, operation: str, code: str) -> Any:
        if len(self._counts) >= MOST_CALLS:
            block = operation = code = OTHER
        count = self._registry.series(CLIENT_CALLS, block, operation, code).inc
        observe = self._registry.series(CLIENT_SECONDS, block, operation).observe
        self._counts[block, operation, code] = found = (count, observe)
        return found


class MetricsServer:
    """Serves a scrape from a thread, on a port of its own."""

    def __init__(self, registry: Registry, host: str, port: int) -> None:
        self._registry = registry
        self._address = (host, port)
        self._server: Any = None
        self._thread: Any = None
        self.port = port

    def start(self) -> None:
        """Listen.

        Where another process of the same app serves already, that one speaks for all.

        Raises:
            OSError: the port cannot be had.
        """
        host, port = self._address
        found: Any = self._registry
        try:
            self._server, self._thread = prometheus_client.start_http_server(port, host, found)
        except OSError:
            if not self._registry.several:
                raise
            return
        self.port = self._server.server_port

    async def stop(self) -> None:
        """Listen no more."""
        server, self._server = self._server, None
        if server is None:
            return
        await asyncio.to_thread(server.shutdown)
        server.server_close()
        self._thread.join()


def label(text: str) -> str:
    """Return a label's value: names of workflows and actors may hold anything."""
    shown = text if text.isprintable() else text.encode("unicode_escape").decode()
    return shown[:LONGEST_LABEL]


@lru_cache(maxsize=1024)
def code_of(status: int) -> str:
    """Return how a status is counted: those without a name by their class alone."""
    with suppress(ValueError):
        return str(HTTPStatus(status).value)
    return f"{status // 100}xx"


def process_ended(pid: int) -> None:
    """Forget the gauges of a process that has ended; the others count on without it."""
    multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]


def _family(metric: Metric, registry: Any) -> Any:
    if metric.kind is MetricKind.COUNTER:
        return prometheus_client.Counter(
            metric.name.removesuffix("_total"), metric.help, metric.labels, registry=registry
        )
    if metric.kind is MetricKind.HISTOGRAM:
        return prometheus_client.Histogram(
            metric.name, metric.help, metric.labels, registry=registry, buckets=metric.buckets
        )
    several: Any = metric.several
    return prometheus_client.Gauge(
        metric.name, metric.help, metric.labels, registry=registry, multiprocess_mode=several
    )
