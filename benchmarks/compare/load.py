"""Load: requests on an app over HTTP or gRPC, as fast as it answers them."""

import asyncio
import time

import grpc

from benchmarks.client import FROM_RUNTIME, request_bytes
from benchmarks.messages import Saturate, Saturated
from benchmarks.processes import Agent, BenchmarkError, Server

CONNECTIONS = 32
EVENT = (
    b'{"data":{"id":1},"datacontenttype":"application/json",'
    b'"id":"5f1b0a52-7d1c-4a43-9d0c-0b8f6c7e2a11","pubsubname":"pubsub","source":"bench",'
    b'"specversion":"1.0","time":"2026-01-01T00:00:00Z","topic":"%b","traceid":"",'
    b'"traceparent":"","tracestate":"","type":"com.dapr.event.sent"}'
)
CALLBACK = "/dapr.proto.runtime.v1.AppCallback/"


def event(topic: str = "orders") -> bytes:
    """Return a CloudEvent as a sidecar delivers it."""
    return EVENT % topic.encode()


def over_http(agent: Agent, server: Server, path: str, body: bytes, seconds: float) -> float:
    """Return answers a second to requests with the headers that a runtime sends."""
    request = request_bytes(path, body, FROM_RUNTIME)
    done = agent.carry_out(Saturate(server.port, request, CONNECTIONS, seconds, 0.1))
    if not isinstance(done, Saturated) or done.failures or not done.answers:
        raise BenchmarkError(f"{path} was not answered well: {done}")
    return done.answers / done.seconds


def over_grpc(port: int, method: str, request: bytes, seconds: float) -> float:
    """Return answers a second to calls of Dapr's callback service."""
    return asyncio.run(_grpc_rate(port, method, request, seconds))


async def _grpc_rate(port: int, method: str, request: bytes, seconds: float) -> float:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary(CALLBACK + method, bytes, bytes)
        await call(request)
        began = time.perf_counter()
        end = began + seconds

        async def again() -> int:
            count = 0
            while time.perf_counter() < end:
                await call(request)
                count += 1
            return count

        counts = await asyncio.gather(*(again() for _ in range(CONNECTIONS)))
        return sum(counts) / (time.perf_counter() - began)
