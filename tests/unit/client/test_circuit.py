"""The circuit breaker and the retry budget of the client, over connections that fail."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from daprflow.client import Client
from daprflow.client.circuit import LONGEST_PAUSE, CircuitOpen
from daprflow.client.retry_budget import MOST, RetryBudget
from daprflow.errors import SidecarUnavailable
from daprflow.protocol.http import HttpRequest, HttpResponse
from daprflow.settings import Settings
from daprflow.transports.base import ConnectionLost
from tests.helpers.timing import eventually

FAILURES = 3
ONCE = Settings(circuit_failures=FAILURES, max_attempts=1)


class Sidecar:
    """A transport whose sidecar comes and goes."""

    address = "http://127.0.0.1:1"

    def __init__(self) -> None:
        self.here = True
        self.hangs = asyncio.Event()
        self.hangs.set()
        self.probes = 0
        self.calls = 0

    async def send(self, request: HttpRequest, /) -> HttpResponse:
        """Answer, or lose the connection."""
        if "healthz" in request.target:
            self.probes += 1
            await self.hangs.wait()
        else:
            self.calls += 1
        await asyncio.sleep(0)
        if not self.here:
            raise ConnectionLost("nobody listens")
        return HttpResponse(204)

    async def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def sidecar() -> Sidecar:
    """A sidecar that comes and goes."""
    return Sidecar()


@pytest.fixture
async def client(sidecar: Sidecar) -> AsyncIterator[Client]:
    """A client that does not repeat, and gives up after three connections."""
    async with Client(ONCE, transport=sidecar) as client:
        yield client


async def failing(client: Client, times: int = FAILURES) -> None:
    """Make calls that fail."""
    for _ in range(times):
        with pytest.raises(SidecarUnavailable):
            await client.publish("pubsub", "orders", 1)


async def healed(client: Client) -> float:
    """Call until it works; the seconds that took."""
    began = time.monotonic()
    while True:
        try:
            await client.publish("pubsub", "orders", 1)
        except SidecarUnavailable:
            await asyncio.sleep(0.01)
        else:
            return time.monotonic() - began


async def test_calls_fail_at_once_while_the_sidecar_is_away(
    client: Client, sidecar: Sidecar
) -> None:
    """After three lost connections in a row nothing is sent; the error says since when and why."""
    sidecar.here = False
    await failing(client)
    sent = sidecar.calls
    with pytest.raises(
        CircuitOpen, match=r"away since \d\d:\d\d:\d\d UTC .*tried again in 0\.\d"
    ) as e:
        await client.publish("pubsub", "orders", 1)
    assert "nobody listens" in str(e.value)
    assert sidecar.calls == sent
    state = client.circuit
    assert (state.state, state.failures, state.opened) == ("open", FAILURES, 1)
    assert state.since is not None
    assert 0 < state.retry_in <= LONGEST_PAUSE


async def test_an_answer_in_between_starts_the_count_anew(client: Client, sidecar: Sidecar) -> None:
    """Only failures in a row count."""
    for _ in range(3):
        sidecar.here = False
        await failing(client, FAILURES - 1)
        sidecar.here = True
        await client.publish("pubsub", "orders", 1)
    assert client.circuit.state == "closed"


async def test_it_heals_when_the_sidecar_is_back(client: Client, sidecar: Sidecar) -> None:
    """Within the longest pause between probes, whoever calls then (G8)."""
    sidecar.here = False
    await failing(client)
    sidecar.here = True
    await healed(client)
    assert client.circuit.state == "closed"
    assert client.circuit.opened == 1


async def test_one_probe_at_a_time_is_under_way(client: Client, sidecar: Sidecar) -> None:
    """Callers that come while it is wait for it, and are sent once it is answered."""
    sidecar.here = False
    await failing(client)
    before, sent = sidecar.probes, sidecar.calls
    sidecar.here = True
    sidecar.hangs.clear()
    await asyncio.sleep(client.circuit.retry_in)
    calls = [asyncio.create_task(client.publish("pubsub", "orders", 1)) for _ in range(20)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert client.circuit.state == "half-open"
    sidecar.hangs.set()
    await asyncio.gather(*calls)
    assert sidecar.probes - before == 1
    assert sidecar.calls - sent == len(calls)


async def test_a_probe_outlives_the_caller_that_sent_it(client: Client, sidecar: Sidecar) -> None:
    """One that is cancelled takes nobody's probe along."""
    sidecar.here = False
    await failing(client)
    sidecar.here = True
    sidecar.hangs.clear()
    await asyncio.sleep(client.circuit.retry_in)
    first, second = (asyncio.create_task(client.publish("pubsub", "orders", 1)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    sidecar.hangs.set()
    await second
    assert first.cancelled()


async def test_a_client_that_is_closed_ends_its_probe(sidecar: Sidecar) -> None:
    """Whoever waited for it is told that the client is closed."""
    client = Client(ONCE, transport=sidecar)
    await client.open()
    sidecar.here = False
    await failing(client)
    sidecar.hangs.clear()
    await asyncio.sleep(client.circuit.retry_in)
    waiting = asyncio.create_task(client.publish("pubsub", "orders", 1))
    await asyncio.sleep(0.01)
    await client.close()
    with pytest.raises(RuntimeError, match="closed"):
        await waiting


async def test_a_read_waits_for_the_sidecar_as_long_as_it_is_repeated(sidecar: Sidecar) -> None:
    """A repeatable call under way lasts through a short absence, and hammers nobody."""
    settings = Settings(circuit_failures=2)
    async with Client(settings, transport=sidecar) as client:
        sidecar.here = False
        reads = [asyncio.create_task(client.state("s").get("a", int)) for _ in range(30)]
        await eventually(lambda: client.circuit.state == "open")
        sent = sidecar.calls
        await asyncio.sleep(0.1)
        assert sidecar.calls == sent
        sidecar.here = True
        assert await asyncio.gather(*reads) == [None] * len(reads)
    assert sidecar.calls <= sent + len(reads)


async def test_without_an_end_of_attempts_a_read_waits_on(sidecar: Sidecar) -> None:
    """``DAPR_API_MAX_RETRIES=-1``: until the time is up, also when the circuit is open already."""
    settings = Settings(circuit_failures=1, max_attempts=-1)
    async with Client(settings, transport=sidecar) as client:
        sidecar.here = False
        await failing(client, 1)
        read = asyncio.create_task(client.state("s").get("a", int))
        await asyncio.sleep(0.3)
        assert not read.done()
        sidecar.here = True
        assert await read is None


async def test_it_can_be_left_out(sidecar: Sidecar) -> None:
    """``DAPRFLOW_CIRCUIT_FAILURES=0``: every call is sent."""
    async with Client(Settings(circuit_failures=0), transport=sidecar) as client:
        sidecar.here = False
        await failing(client, 20)
    assert sidecar.calls == 20


async def test_repetitions_have_a_budget(sidecar: Sidecar) -> None:
    """Many reads on connections that break are not as many times seven requests."""
    reads = 300
    async with Client(Settings(circuit_failures=0), transport=sidecar) as client:
        sidecar.here = False
        store = client.state("s")
        found = await asyncio.gather(
            *(store.get(str(n), int) for n in range(reads)), return_exceptions=True
        )
        refused = [each for each in found if "retry budget" in str(each)]
        state = client.retries
    assert all(isinstance(each, SidecarUnavailable) for each in found)
    assert refused
    assert state.refused == len(refused)
    assert sidecar.calls == reads + state.made
    assert sidecar.calls < 2 * reads


def test_a_budget_grows_with_calls_and_with_time() -> None:
    """A fifth of the calls, beside what each second brings; and no more than is kept."""
    budget = RetryBudget(0.2)
    while budget.take():
        pass
    assert budget.retries >= MOST
    budget.calls += 50
    assert 10 <= budget.left < 12
    budget.calls += 10_000
    assert budget.left == MOST
