"""Spans of a running app: one for each delivery, turn, tick and call, in one tree."""

import asyncio
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBased, Sampler, TraceIdRatioBased
from opentelemetry.trace import SpanKind, StatusCode

from daprflow import (
    Actor,
    Batch,
    Client,
    DaprFlow,
    Delivery,
    Drop,
    Endpoint,
    InvocationError,
    Retry,
    Status,
    Topic,
    WorkflowContext,
    WorkflowFailed,
    trace_context,
)
from daprflow.observability import Observability, trace_calls
from daprflow.observability.tracing import TracingWatcher
from daprflow.observability.tracing_setup import tracing
from daprflow.settings import Settings
from daprflow.testing import CollectedSpans, TestSidecar
from daprflow.testing.transport import InProcessTransport
from tests.helpers.grpc_echo import Echo, EchoStub, serving
from tests.helpers.small_sidecar import SmallSidecar

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
UNSAMPLED = PARENT[:-2] + "00"


class Order(msgspec.Struct):
    id: str


ORDERS = Topic("pubsub", "orders", Order)
RECEIPTS = Topic("pubsub", "receipts", Order)


@pytest.fixture
def app() -> DaprFlow:
    """An app that is not observed unless a test says so."""
    return DaprFlow("shop")


def attributes(span: ReadableSpan) -> dict[str, Any]:
    """Return what a span says."""
    return dict(span.attributes or {})


def errors(span: ReadableSpan) -> Iterator[tuple[str, str]]:
    """Return the exceptions that a span tells of."""
    for event in span.events:
        said = event.attributes or {}
        yield str(said["exception.type"]), str(said["exception.message"])


async def test_one_tree_from_publisher_through_handler_to_store(app: DaprFlow) -> None:
    """An invocation, its event, the handler and what that calls are one trace."""

    @app.invoke
    async def buy(order: Order, *, client: Client) -> None:
        await client.publish(ORDERS, order)

    @app.topic(ORDERS)
    async def on_order(order: Order, *, client: Client) -> None:
        await client.state("statestore").set("k", order)

    async with TestSidecar(app, spans=True) as dapr:
        await dapr.invoke(buy, Order("o1"))
    assert dapr.spans.tree() == (
        "shop/buy\n  publish orders\n    process orders\n      state/save statestore"
    )
    assert len({each.context.trace_id for each in dapr.spans if each.context}) == 1
    kinds = [each.kind for each in dapr.spans]
    assert kinds == [SpanKind.SERVER, SpanKind.PRODUCER, SpanKind.CONSUMER, SpanKind.CLIENT]
    assert all(each.status.status_code is StatusCode.UNSET for each in dapr.spans)
    process = attributes(dapr.spans.named("process orders"))
    assert process.pop("messaging.message.envelope.size") > 0
    assert process == {
        "code.function.name": "on_order",
        "dapr.component.name": "pubsub",
        "dapr.verdict": "SUCCESS",
        "messaging.consumer.group.name": "shop",
        "messaging.destination.name": "orders",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.system": "dapr",
    }
    assert attributes(dapr.spans.named("shop/buy")) == {
        "code.function.name": "buy",
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "rpc.method": "buy",
        "rpc.service": "shop",
        "rpc.system": "dapr",
    }


async def test_actors_and_workflows_are_in_the_tree(app: DaprFlow) -> None:
    """Calls of actors, turns of workflows and activities belong to what led to them."""

    @app.actor
    class Cart(Actor[list[str]]):
        async def add(self, sku: str) -> int:
            self.state.append(sku)
            return len(self.state)

    @app.activity
    def charge(number: int) -> int:
        return number + 1

    @app.workflow
    async def checkout(ctx: WorkflowContext, number: int) -> int:
        return await ctx.call(charge, await ctx.call(charge, number))

    @app.invoke
    async def buy(order: Order, *, client: Client) -> None:
        await client.actor(Cart, "ann").add(order.id)
        await client.start(checkout, 1, id="w1")

    async with TestSidecar(app, spans=True) as dapr:
        await dapr.invoke(buy, Order("o1"))
        assert await dapr.workflow(checkout, "w1").result() == 3
    assert dapr.spans.tree().splitlines() == [
        "shop/buy",
        "  Cart/add",
        "    Cart/add",
        "      Cart/get_state",
        "      Cart/save_state",
        "  workflows/start checkout",
        "    workflow checkout",
        "    activity charge",
        "    workflow checkout",
        "    activity charge",
        "    workflow checkout",
    ]
    turns = [attributes(each) for each in dapr.spans if each.name == "workflow checkout"]
    assert [each["dapr.workflow.past_events"] for each in turns] == [0, 3, 6]
    assert turns[-1]["dapr.workflow.status"] == "COMPLETED"
    called = next(
        each for each in dapr.spans if each.kind is SpanKind.SERVER and "Cart" in each.name
    )
    assert attributes(called)["dapr.actor.id"] == "ann"


async def test_errors_are_told_with_their_causes_and_nothing_else(app: DaprFlow) -> None:
    """A span that failed has the exception, its stack and its causes; no payload, no token."""

    @app.topic(ORDERS)
    async def on_order(order: Order) -> None:
        try:
            raise OSError("disk is full")  # noqa: TRY301 - the cause of the other
        except OSError as error:
            raise ValueError("password=hunter2 was wrong") from error

    async with TestSidecar(app, spans=True) as dapr:
        await dapr.publish(ORDERS, Order("canary-payload"))
    span = dapr.spans.named("process orders")
    assert span.status.status_code is StatusCode.ERROR
    assert attributes(span)["error.type"] == "ValueError"
    assert attributes(span)["dapr.verdict"] == "RETRY"
    assert list(errors(span)) == [
        ("ValueError", "password=*** was wrong"),
        ("OSError", "disk is full"),
    ]
    assert "on_order" in str((span.events[0].attributes or {})["exception.stacktrace"])
    assert "hunter2" not in span.to_json()
    assert "canary-payload" not in span.to_json()


async def test_no_token_of_the_apps_settings_is_in_a_span() -> None:
    """A token is left out wherever it stands, the retired one included."""
    app = DaprFlow("shop", settings=Settings(app_api_token_previous="retired-canary"))

    @app.topic(ORDERS)
    async def on_order(order: Order) -> None:
        raise ValueError("retired-canary is no order")

    async with TestSidecar(app, spans=True) as dapr:
        await dapr.publish(ORDERS, Order("o1"))
    span = dapr.spans.named("process orders")
    assert list(errors(span)) == [("ValueError", "*** is no order")]
    assert "retired-canary" not in span.to_json()


@pytest.mark.row("S-03")
@pytest.mark.parametrize("whole", [False, True])
async def test_no_secret_that_the_app_has_read_is_in_a_span(app: DaprFlow, *, whole: bool) -> None:
    """A value that came from a secret store is left out, whatever handler's error has it."""

    @app.topic(ORDERS)
    async def on_order(order: Order, *, client: Client) -> None:
        if whole:
            held = (await client.secrets("vault"))["dsn"]
        else:
            held = await client.secret("vault", "dsn")
        raise ValueError(f"cannot reach {held}")

    async with TestSidecar(app, spans=True, secrets={"vault": {"dsn": "fetched-dsn"}}) as dapr:
        await dapr.publish(ORDERS, Order("o1"))
    span = dapr.spans.named("process orders")
    assert list(errors(span)) == [("ValueError", "cannot reach ***")]
    assert not [each.name for each in dapr.spans if "fetched-dsn" in each.to_json()]


@pytest.mark.parametrize(("raised", "verdict"), [(Drop("no"), "DROP"), (Retry(), "RETRY")])
async def test_verdicts_are_no_errors(app: DaprFlow, raised: Exception, verdict: str) -> None:
    """Whoever drops an event, or wants it again, has not failed."""

    @app.topic(ORDERS)
    async def on_order(order: Order) -> None:
        raise raised

    async with TestSidecar(app, spans=True) as dapr:
        await dapr.publish(ORDERS, Order("o1"))
    span = dapr.spans.named("process orders")
    assert span.status.status_code is StatusCode.UNSET
    assert attributes(span)["dapr.verdict"] == verdict
    assert span.events == ()


async def test_ticks_items_and_bindings_have_spans(app: DaprFlow) -> None:
    """Every kind of delivery has one span, named for what it is."""

    @app.cron("sweep", "@every 1h")
    async def sweep() -> None: ...

    @app.job("report", schedule="@every 1h")
    async def report() -> None: ...

    @app.binding("sms")
    async def on_sms(text: str) -> None: ...

    @app.configuration("settings", "limit")
    async def on_limit(item: str) -> None: ...

    async with TestSidecar(app, spans=True, configuration={"settings": {"limit": "1"}}) as dapr:
        await dapr.trigger("sms", "hello")
        await dapr.advance(timedelta(hours=1, seconds=1))
        found = {each.name for each in dapr.spans if each.kind is SpanKind.CONSUMER}
    assert found == {
        "configuration settings/limit",
        "cron sweep",
        "job report",
        "process sms",
    }


class Calls:
    """A request on the running app, as a sidecar makes it."""

    def __init__(self, app: DaprFlow) -> None:
        self.app = app

    async def event(self, *headers: tuple[str, str], **attributes: str) -> None:
        """Deliver an order, with attributes of its envelope beside the usual ones."""
        envelope = {
            "id": "1",
            "source": "t",
            "type": "t",
            "specversion": "1.0",
            "datacontenttype": "application/json",
            "data": {"id": "o1"},
            **attributes,
        }
        await self.post("/dapr/topics/pubsub/orders", json.dumps(envelope).encode(), *headers)

    async def post(self, path: str, body: bytes, *headers: tuple[str, str]) -> None:
        """Post a body; the answer is 200."""
        raw = [(name.encode(), value.encode()) for name, value in headers]
        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": raw,
        }
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": body}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        assert sent[0]["status"] == 200


def remote(span: ReadableSpan) -> str:
    """Return the parent of a span as the header that names it."""
    parent = span.parent
    assert parent is not None
    return f"00-{parent.trace_id:032x}-{parent.span_id:016x}-{parent.trace_flags:02x}"


async def test_the_parent_is_the_header_then_the_envelope(app: DaprFlow) -> None:
    """A sidecar's own span leads to a delivery; without one, the span of who published does."""

    @app.topic(ORDERS)
    async def on_order(order: Order) -> None: ...

    zeros = "00-" + 32 * "0" + "-" + 16 * "0" + "-00"
    other = PARENT.replace("00f067aa0ba902b7", "1111111111111111")
    async with TestSidecar(app, spans=True) as dapr:
        calls = Calls(app)
        await calls.event(("traceparent", PARENT), ("tracestate", "a=1"), traceparent=other)
        await calls.event(("traceparent", zeros), traceparent=other)
        await calls.event(traceparent="nonsense")
    first, second, third = dapr.spans.all
    assert remote(first) == PARENT
    assert first.context is not None
    assert first.context.trace_state.to_header() == "a=1"
    assert remote(second) == other
    assert third.parent is None


async def test_a_batch_links_to_every_publisher(app: DaprFlow) -> None:
    """The span of a batch has no parent of its own, and a link to each event's."""

    @app.topic(ORDERS, max_messages=10)
    async def on_orders(batch: Batch[Order]) -> None: ...

    @app.invoke
    async def buy(order: Order, *, client: Client) -> None:
        await client.publish(ORDERS, order)

    async with TestSidecar(app, spans=True) as dapr:
        for name in ("a", "b"):
            await dapr.invoke(buy, Order(name))
        await dapr.advance(timedelta(seconds=10))
    published = {each.context.span_id for each in dapr.spans if each.name == "publish orders"}
    (batch,) = [each for each in dapr.spans if each.name == "process orders"]
    assert {link.context.span_id for link in batch.links} == published


async def test_threads_user_spans_and_given_contexts_join(app: DaprFlow) -> None:
    """Context reaches threads; spans of the user's own stand between; a given context wins."""
    tracers: list[trace.Tracer] = []

    @app.invoke
    def inside(order: Order) -> None:
        with tracers[0].start_as_current_span("mine"):
            pass

    @app.invoke
    async def outside(order: Order, *, client: Client) -> None:
        with tracers[0].start_as_current_span("mine too"):
            await client.publish(ORDERS, order)
        with trace_context(PARENT):
            await client.publish(RECEIPTS, order)

    async with TestSidecar(app, spans=True) as dapr:
        tracers.append(dapr.spans.provider.get_tracer("test"))
        await dapr.invoke(inside, Order("o1"))
        await dapr.invoke(outside, Order("o1"))
    assert dapr.spans.tree().splitlines() == [
        "shop/inside",
        "  mine",
        "shop/outside",
        "  mine too",
        "    publish orders",
        "publish receipts",
    ]
    assert remote(dapr.spans.named("publish receipts")) == PARENT


async def test_what_nobody_samples_is_passed_on_as_such(app: DaprFlow) -> None:
    """Below an unsampled parent no span is made, and calls say that it is not sampled."""
    seen: list[str] = []

    @app.topic(ORDERS)
    async def on_order(order: Order, *, client: Client) -> None:
        await client.publish(RECEIPTS, order)

    @app.topic(RECEIPTS)
    async def on_receipt(order: Order, *, delivery: Delivery) -> None:
        seen.extend(value for name, value in delivery.headers if name == "traceparent")
        assert not trace.get_current_span().is_recording()

    async with TestSidecar(app, spans=True) as dapr:
        await Calls(app).event(("traceparent", UNSAMPLED))
    assert dapr.spans.names == []
    assert seen == [] or seen[0].endswith("-00")


async def test_a_ratio_holds_for_the_whole_tree(app: DaprFlow) -> None:
    """Of the traces that begin here, so many are made as the sampler says, each of them whole."""

    @app.topic(ORDERS)
    async def on_order(order: Order, *, client: Client) -> None:
        await client.publish(RECEIPTS, order)

    spans: list[str] = []
    provider = TracerProvider(sampler=ParentBased(TraceIdRatioBased(0.3)), shutdown_on_exit=False)

    class Kept:
        def on_start(self, span: Any, parent_context: Any = None) -> None: ...
        def _on_ending(self, span: Any) -> None: ...
        def on_end(self, span: ReadableSpan) -> None:
            spans.append(span.name)

        def shutdown(self) -> None: ...
        def force_flush(self, timeout_millis: int = 0) -> bool:
            return True

    provider.add_span_processor(Kept())  # type: ignore[arg-type]  # it has all its methods
    app.observability = Observability(tracer_provider=provider)
    async with TestSidecar(app):
        for _ in range(300):
            await Calls(app).event()
    assert 40 < spans.count("process orders") < 160
    assert spans.count("publish receipts") == spans.count("process orders")


async def test_replays_make_no_span_twice() -> None:
    """However often a history is gone through, each turn has one span; another process's is it."""
    app = DaprFlow("shop")

    @app.activity
    async def double(number: int) -> int:
        return 2 * number

    @app.workflow
    async def twice(ctx: WorkflowContext, number: int) -> int:
        return await ctx.call(double, await ctx.call(double, number))

    async with TestSidecar(app, spans=True, replay=True) as dapr:
        run = await dapr.start(twice, 3, id="w1")
        assert await run.result() == 12
    turns = [attributes(each) for each in dapr.spans if each.name == "workflow twice"]
    assert [each["dapr.workflow.past_events"] for each in turns] == [0, 3, 6]
    assert dapr.spans.names.count("activity double") == 2
    assert len({each.context.trace_id for each in dapr.spans if each.context}) == 1


async def test_a_failed_workflow_tells_its_cause(app: DaprFlow) -> None:
    """The turn in which a workflow fails is an error with what the activity raised."""

    @app.activity
    async def charge(number: int) -> int:
        raise ValueError("no money")

    @app.workflow
    async def checkout(ctx: WorkflowContext, number: int) -> int:
        return await ctx.call(charge, number)

    async with TestSidecar(app, spans=True) as dapr:
        run = await dapr.start(checkout, 3, id="w1")
        with pytest.raises(WorkflowFailed):
            await run.result()
    last = [each for each in dapr.spans if each.name == "workflow checkout"][-1]
    assert last.status.status_code is StatusCode.ERROR
    assert attributes(last)["dapr.workflow.status"] == "FAILED"
    assert ("ValueError", "no money") in list(errors(last))
    activity = dapr.spans.named("activity charge")
    assert attributes(activity)["error.type"] == "ValueError"


async def test_a_failed_call_is_an_error_of_the_caller(app: DaprFlow) -> None:
    """A call that is refused has the status, and the code that Dapr gives it."""

    @app.invoke
    async def buy(order: Order, *, client: Client) -> None:
        await client.invoke(Endpoint("nobody", "price", Order, int), order)

    async with TestSidecar(app, spans=True) as dapr:
        with pytest.raises(InvocationError):
            await dapr.invoke(buy, Order("o1"))
    call = dapr.spans.named("nobody/price")
    assert call.kind is SpanKind.CLIENT
    assert call.status.status_code is StatusCode.ERROR
    assert dapr.spans.named("shop/buy").status.status_code is StatusCode.ERROR


async def test_a_client_without_an_app_has_spans(app: DaprFlow) -> None:
    """Its calls are roots, or below the span of the program's own; the app goes on in them."""
    kept = CollectedSpans()

    @app.topic(ORDERS)
    async def on_order(order: Order) -> None: ...

    app.observability = Observability(tracer_provider=kept.provider)
    async with TestSidecar(app) as dapr:
        dapr.client.add_interceptors(trace_calls(kept.provider))
        await dapr.client.publish(ORDERS, Order("o1"))
        with kept.provider.get_tracer("test").start_as_current_span("mine"):
            await dapr.client.state("statestore").delete("k")
        await dapr.advance(timedelta(0))
    assert kept.tree().splitlines() == [
        "publish orders",
        "  process orders",
        "mine",
        "  state/delete statestore",
    ]


async def test_other_propagators_are_opentelemetrys(app: DaprFlow) -> None:
    """What ``OTEL_PROPAGATORS`` names is read and written by OpenTelemetry itself."""
    kept = CollectedSpans()

    @app.topic(ORDERS)
    async def on_order(order: Order, *, client: Client) -> None:
        await client.publish(RECEIPTS, order)

    made = tracing(kept.provider, "shop", {"OTEL_PROPAGATORS": "tracecontext"})
    app.observability = Observability(tracing=False, watchers=[TracingWatcher(lambda: made)])
    async with TestSidecar(app):
        await Calls(app).event(("traceparent", PARENT))
    assert kept.tree().splitlines() == ["process orders", "  publish receipts"]
    assert remote(kept.named("process orders")) == PARENT


async def test_baggage_goes_along(app: DaprFlow) -> None:
    """What a caller put into its baggage reaches those whom the handler calls."""
    seen: list[str] = []

    @app.invoke
    async def first(order: Order, *, client: Client) -> None:
        await client.invoke(second, order)

    @app.invoke
    async def second(order: Order, *, delivery: Delivery) -> None:
        seen.append(dict(delivery.headers)["baggage"])

    async with TestSidecar(app, spans=True) as dapr:
        body = b'{"id": "1"}'
        await Calls(app).post("/first", body, ("traceparent", PARENT), ("baggage", "tenant=t1"))
    assert seen == ["tenant=t1"]
    assert len(dapr.spans) == 3


class Broken(Sampler):
    """A sampler that fails."""

    def should_sample(self, *_: Any, **__: Any) -> Any:
        """Fail."""
        raise RuntimeError("no")

    def get_description(self) -> str:
        """Return what it is."""
        return "Broken"


async def test_a_broken_sampler_hinders_nobody(
    app: DaprFlow, caplog: pytest.LogCaptureFixture
) -> None:
    """Deliveries and calls go on without spans, and the log says so once."""

    @app.topic(ORDERS)
    async def on_order(order: Order, *, client: Client) -> None:
        await client.state("statestore").set("k", order)

    provider = TracerProvider(sampler=Broken(), shutdown_on_exit=False)
    app.observability = Observability(tracer_provider=provider)
    async with TestSidecar(app) as dapr:
        for _ in range(2):
            assert await dapr.publish(ORDERS, Order("o1")) is Status.SUCCESS
    told = [each for each in caplog.records if "a span could not be made" in each.message]
    assert len(told) == 1


async def test_the_block_of_a_streamed_message_has_a_span(app: DaprFlow) -> None:
    """Below who published it; what fails in it is told, and calls are below it."""

    @app.invoke
    async def buy(order: Order, *, client: Client) -> None:
        await client.publish(ORDERS, order)

    async with TestSidecar(app, spans=True) as dapr:
        async with app.client.subscribe(ORDERS) as messages:
            invoked = asyncio.create_task(dapr.invoke(buy, Order("o1")))
            async with await anext(messages):
                await app.client.state("statestore").set("k", 1)
            await invoked
            invoked = asyncio.create_task(dapr.invoke(buy, Order("o2")))
            with pytest.raises(ValueError, match="no"):
                async with await anext(messages) as message:
                    raise ValueError("no")
            await invoked
        assert message.status is Status.RETRY
    assert dapr.spans.tree().splitlines() == [
        "subscribe orders",
        "shop/buy",
        "  publish orders",
        "    process orders",
        "      state/save statestore",
        "shop/buy",
        "  publish orders",
        "    process orders",
    ]
    first, second = (each for each in dapr.spans if each.name == "process orders")
    assert attributes(first)["dapr.verdict"] == "SUCCESS"
    assert attributes(second)["dapr.verdict"] == "RETRY"
    assert second.status.status_code is StatusCode.ERROR


async def test_a_stubs_call_is_a_span_of_its_own() -> None:
    """A call over a gRPC channel to an app is one of the client's, and takes its span along."""
    echo = Echo()
    collected = CollectedSpans()
    async with serving(echo) as port:
        settings = Settings(grpc_endpoint=f"127.0.0.1:{port}")
        transport = InProcessTransport(SmallSidecar())
        async with Client(settings, transport=transport) as client:
            client.add_interceptors(trace_calls(collected.provider))
            await EchoStub(client.grpc_channel("greeter")).unary(b"a")
    span = collected.named("greeter/test.Echo/Unary")
    assert span.kind is SpanKind.CLIENT
    assert attributes(span)["rpc.method"] == "test.Echo/Unary"
    assert echo.metadata[0]["traceparent"].split("-")[2] == f"{span.context.span_id:016x}"
