"""A stand-in for Jaeger: takes spans as OTLP over HTTP, and draws the trace of an order."""

import asyncio
import time
from dataclasses import dataclass, field

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from daprflow import DaprFlow

QUIET = 1.0
PATIENCE = 15.0


@dataclass(frozen=True)
class Span:
    service: str
    name: str
    trace: bytes
    id: bytes
    parent: bytes
    start: int
    order: str
    error: str


@dataclass
class Spans:
    all: list[Span] = field(default_factory=list)
    fresh: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, request: ExportTraceServiceRequest) -> None:
        for resource in request.resource_spans:
            of = {each.key: each.value.string_value for each in resource.resource.attributes}
            for scope in resource.scope_spans:
                for span in scope.spans:
                    said = {each.key: each.value.string_value for each in span.attributes}
                    self.all.append(
                        Span(
                            of["service.name"],
                            span.name,
                            span.trace_id,
                            span.span_id,
                            span.parent_span_id,
                            span.start_time_unix_nano,
                            said.get("shop.order", ""),
                            span.status.message if span.status.code == 2 else "",
                        )
                    )
        self.fresh.set()

    async def quiet(self) -> None:
        """Wait until no span has come for a while."""
        while True:
            self.fresh.clear()
            try:
                async with asyncio.timeout(QUIET):
                    await self.fresh.wait()
            except TimeoutError:
                return

    def tree(self, order: str) -> str:
        """Draw the trace of an order; empty while it is not here."""
        found = [each for each in self.all if each.order == order]
        if not found:
            return ""
        spans = [each for each in self.all if each.trace == found[0].trace]
        known = {each.id for each in spans}
        roots = [each for each in spans if each.parent not in known]
        return "\n".join(line for root in roots for line in _lines(root, spans, 0))


def _lines(span: Span, spans: list[Span], depth: int) -> list[str]:
    mark = f"  ! {span.error}" if span.error else ""
    below = sorted((each for each in spans if each.parent == span.id), key=lambda each: each.start)
    return [
        f"{'  ' * depth}{span.service}: {span.name}{mark}",
        *(line for each in below for line in _lines(each, spans, depth + 1)),
    ]


spans = Spans()


async def take(request: Request) -> Response:
    spans.add(ExportTraceServiceRequest.FromString(await request.body()))
    answer = ExportTraceServiceResponse().SerializeToString()
    return Response(answer, media_type="application/x-protobuf")


async def show(request: Request) -> Response:
    until = time.monotonic() + PATIENCE
    await spans.quiet()
    while not (tree := spans.tree(request.path_params["order"])):
        if time.monotonic() > until:
            raise HTTPException(404, "no such trace")
        await spans.quiet()
    return PlainTextResponse(tree)


app = Starlette(
    routes=[
        Route("/v1/traces", take, methods=["POST"]),
        Route("/orders/{order}", show),
    ]
)
service = DaprFlow("collector")
service.install(app)
