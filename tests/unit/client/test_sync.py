"""The client without an event loop."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from starlette.responses import Response

from daprflow.actors import ActorInterface
from daprflow.addresses import Topic
from daprflow.client.sync import SyncClient
from daprflow.errors import NotFound, SidecarUnavailable
from daprflow.handlers.trace import trace_context
from daprflow.settings import Settings
from daprflow.testing.transport import InProcessTransport
from tests.helpers.small_sidecar import SmallSidecar, error

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def client_of(sidecar: SmallSidecar) -> SyncClient:
    """Return a client of that sidecar."""
    return SyncClient(transport=InProcessTransport(sidecar))


def test_calls_return_what_the_async_ones_do(sidecar: SmallSidecar) -> None:
    """State, events and the rest work without await."""
    sidecar.answers["/v1.0/secrets/v/a"] = error(401, "ERR_SECRET_STORE_NOT_FOUND", "no v")
    with client_of(sidecar) as client:
        store = client.state("s")
        store.set("k", 1)
        item = store.get("k", int)
        total = store.update("k", int, lambda value: (value or 0) + 1)
        store.delete("k")
        client.publish(Topic("p", "t", int), 5)
        many = client.run(lambda c: c.publish_many("p", "t", [1, 2]))
        with pytest.raises(NotFound):
            client.secret("v", "a")

    assert item is not None
    assert (item.value, total, many) == (1, 2, None)
    assert sidecar.requests[-3][1] == "/v1.0/publish/p/t"


class Counter(ActorInterface):
    """An actor that somebody hosts."""

    async def up(self, by: int) -> int:
        raise NotImplementedError


def test_actors_are_called(sidecar: SmallSidecar) -> None:
    """A method of an actor is called, and its answer decoded, without await."""
    sidecar.answers["/v1.0/actors/Counter/ann/method/up"] = Response("3")
    with client_of(sidecar) as client:
        assert client.run(lambda c: c.actor(Counter, "ann").up(2)) == 3


async def test_a_caller_inside_a_loop_is_told_what_to_do(sidecar: SmallSidecar) -> None:
    """The official client fails with "this event loop is already running" (D7)."""
    client = client_of(sidecar)

    with pytest.raises(RuntimeError, match="use the async one there: 'async with Client"):
        client.publish("p", "t", 1)

    assert sidecar.requests == []


def test_making_one_starts_nothing(sidecar: SmallSidecar) -> None:
    """No thread and no connection before the first call, and none after the end."""
    before = threading.active_count()
    client = client_of(sidecar)
    assert threading.active_count() == before

    with client:
        assert threading.active_count() == before + 1

    assert threading.active_count() == before


def test_a_block_that_cannot_be_entered_leaves_nothing(sidecar: SmallSidecar) -> None:
    """Where the sidecar is not ready the block raises, and its thread ends."""
    sidecar.healthy = False
    before = threading.active_count()
    client = SyncClient(Settings(health_timeout=0.05), transport=InProcessTransport(sidecar))
    with pytest.raises(SidecarUnavailable), client:
        pytest.fail("it was entered")

    assert threading.active_count() == before


@pytest.mark.parametrize("call", [None, lambda client: 5, lambda client: client.lock("l", "r")])
def test_run_takes_a_call(sidecar: SmallSidecar, call: Any) -> None:
    """What makes no call is told as such, with what is meant."""
    with (
        client_of(sidecar) as client,
        pytest.raises(TypeError, match=r"such as 'lambda client: client.metadata\(\)'"),
    ):
        client.run(call)


def test_a_closed_one_says_how_it_is_opened(sidecar: SmallSidecar) -> None:
    """After its block a call is refused, and a further block opens it again."""
    client = client_of(sidecar)
    with client:
        client.publish("p", "t", 1)
    with pytest.raises(RuntimeError, match="a SyncClient with 'with'"):
        client.publish("p", "t", 2)
    with client:
        client.publish("p", "t", 3)

    assert [body for _, _, body in sidecar.requests if body] == [b"1", b"3"]


def test_threads_may_share_one(sidecar: SmallSidecar) -> None:
    """Each waits for its own call."""
    with client_of(sidecar) as client, ThreadPoolExecutor(4) as pool:
        store = client.state("s")
        list(pool.map(lambda n: store.set(str(n), n), range(20)))
        found = list(pool.map(lambda n: store.get(str(n), int), range(20)))

    assert [item.value for item in found if item is not None] == list(range(20))


def test_the_callers_trace_goes_along(sidecar: SmallSidecar) -> None:
    """Context variables reach the thread that makes the call."""
    with client_of(sidecar) as client, trace_context(PARENT, baggage="a=b"):
        client.publish("p", "t", 1)

    assert sidecar.headers[0]["traceparent"] == PARENT
    assert sidecar.headers[0]["baggage"] == "a=b"
