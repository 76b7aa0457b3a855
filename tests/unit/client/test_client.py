"""Opening, closing and repeating: the client between its sidecar and its user."""

import asyncio
from collections.abc import Callable

import pytest

from daprflow.client import Client
from daprflow.errors import SidecarError, SidecarUnavailable
from daprflow.protocol.http import HttpRequest, HttpResponse
from daprflow.settings import Settings
from daprflow.testing.transport import InProcessTransport
from daprflow.transports.base import ConnectionLost
from tests.helpers.small_sidecar import SmallSidecar, error

OUTBOUND = "/v1.0/healthz/outbound"


class Line:
    """A transport that answers from a function and counts what passes."""

    def __init__(self, answer: Callable[[HttpRequest], HttpResponse]) -> None:
        self.answer = answer
        self.sent: list[str] = []
        self.begun = asyncio.Event()
        self.closed = 0

    @property
    def address(self) -> str:
        return "http://127.0.0.1:1"

    async def send(self, request: HttpRequest, /) -> HttpResponse:
        self.sent.append(f"{request.method} {request.target}")
        self.begun.set()
        await asyncio.sleep(0)
        return self.answer(request)

    async def close(self) -> None:
        self.closed += 1


def good(request: HttpRequest) -> HttpResponse:
    """Answer everything with 204."""
    return HttpResponse(204)


def losing(times: int) -> Callable[[HttpRequest], HttpResponse]:
    """Lose the connection of that many calls, health checks apart."""
    left = [times]

    def answer(request: HttpRequest) -> HttpResponse:
        if request.target != OUTBOUND and left[0]:
            left[0] -= 1
            raise ConnectionLost("lost")
        return HttpResponse(204)

    return answer


def test_making_a_client_does_nothing() -> None:
    """The constructor neither connects nor reads the environment, so nothing needs closing."""
    line = Line(good)

    Client(transport=line)

    assert line.sent == []


async def test_the_first_call_waits_for_the_sidecar_once() -> None:
    """Calls that come together share one health check, and later ones need none."""
    line = Line(good)
    client = Client(transport=line)
    store = client.state("s")

    await asyncio.gather(*(store.get(str(n), int) for n in range(5)))
    await store.get("5", int)
    await client.close()

    assert line.sent == [f"GET {OUTBOUND}", *(f"GET /v1.0/state/s/{n}" for n in range(6))]
    assert line.closed == 1


async def test_a_sidecar_that_comes_late_is_waited_for() -> None:
    """Neither a refused connection nor a bad answer ends the wait before its time."""
    answers: list[Exception | HttpResponse] = [
        ConnectionLost("refused"),
        HttpResponse(500),
        HttpResponse(204),
    ]

    def answer(request: HttpRequest) -> HttpResponse:
        found = answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    async with Client(transport=Line(answer)):
        assert answers == []


@pytest.mark.row("FA-01")
async def test_a_sidecar_that_never_comes_is_named() -> None:
    """After the deadline the error tells how long, and what happened last."""
    line = Line(lambda request: HttpResponse(500, body=b'{"errorCode":"ERR_X","message":"m"}'))
    client = Client(Settings(health_timeout=0.05), transport=line)

    with pytest.raises(SidecarUnavailable) as caught:
        await client.state("s").get("k", int)

    assert "within 0.05 s (DAPR_HEALTH_TIMEOUT)" in str(caught.value)
    assert "http://127.0.0.1:1" in str(caught.value)
    assert "ERR_X" in str(caught.value)
    assert line.closed == 1


async def test_everybody_who_waits_learns_of_the_failure_at_once() -> None:
    """Ten callers do not wait ten times as long."""
    line = Line(lambda request: HttpResponse(500))
    client = Client(Settings(health_timeout=0.05), transport=line)
    store = client.state("s")

    results = await asyncio.gather(
        *(store.get("k", int) for _ in range(10)), return_exceptions=True
    )

    assert {type(result) for result in results} == {SidecarUnavailable}
    assert line.closed == 1


async def test_a_failed_start_can_be_tried_again() -> None:
    """The next call waits anew."""
    line = Line(lambda request: HttpResponse(500))
    client = Client(Settings(health_timeout=0.02), transport=line)
    with pytest.raises(SidecarUnavailable):
        await client.open()

    line.answer = good
    await client.open()
    await client.close()

    assert line.sent[-1] == f"GET {OUTBOUND}"


async def test_the_wait_can_be_switched_off() -> None:
    """A health timeout of 0 asks for no health."""
    line = Line(good)

    async with Client(Settings(health_timeout=0), transport=line) as client:
        await client.publish("p", "t", 1)

    assert line.sent == ["POST /v1.0/publish/p/t"]


async def test_a_caller_who_gives_up_does_not_end_the_wait_of_others() -> None:
    """The health check goes on when the call that began it is cancelled."""
    gate = asyncio.Event()

    class Slow(Line):
        async def send(self, request: HttpRequest, /) -> HttpResponse:
            self.begun.set()
            await gate.wait()
            return await super().send(request)

    line = Slow(good)
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        client = Client(transport=line)
        first = group.create_task(client.state("s").get("a", int))
        second = group.create_task(client.state("s").get("b", int))
        await line.begun.wait()
        first.cancel()
        gate.set()
        await second
    await client.close()

    assert line.sent == [f"GET {OUTBOUND}", "GET /v1.0/state/s/b"]


async def test_closing_while_it_opens_ends_the_wait() -> None:
    """Nobody is left waiting or looks cancelled, and nothing is left running."""
    line = Line(lambda request: HttpResponse(500))
    client = Client(transport=line)
    waiting = asyncio.create_task(client.open())
    await line.begun.wait()

    await client.close()

    with pytest.raises(RuntimeError, match="the client is closed"):
        await waiting
    assert line.closed == 1


async def test_closing_ends_the_retries_of_a_call() -> None:
    """A call that is being repeated sends nothing more, which would open connections again."""
    line = Line(losing(10))
    client = Client(transport=line)
    reading = asyncio.create_task(client.state("s").get("a", int))
    while len(line.sent) < 3:  # noqa: ASYNC110 - what has been sent is the point
        await asyncio.sleep(0)

    await client.close()
    sent = len(line.sent)

    with pytest.raises(RuntimeError, match="the client is closed"):
        await reading
    assert len(line.sent) == sent


async def test_a_closed_client_says_so_and_opens_again() -> None:
    """A call after close is refused, until the client is opened anew."""
    client = Client(transport=Line(good))
    async with client:
        pass

    with pytest.raises(RuntimeError, match="the client is closed"):
        await client.publish("p", "t", 1)

    async with client:
        await client.publish("p", "t", 1)


async def test_dropping_an_open_client_warns() -> None:
    """Who forgets to close it is told."""
    client = Client(transport=Line(good))
    await client.open()

    with pytest.warns(ResourceWarning, match="dropped while it was open"):
        del client


@pytest.mark.parametrize("times", [1, 3])
async def test_a_read_is_repeated_when_the_connection_fails(times: int) -> None:
    """A get, and a delete without an ETag, are the same when done twice."""
    async with Client(transport=Line(losing(times))) as client:
        assert await client.state("s").get("k", int) is None
    async with Client(transport=Line(losing(times))) as client:
        await client.state("s").delete("k")


@pytest.mark.row("FA-01")
@pytest.mark.parametrize(("attempts", "sent"), [(0, 1), (1, 1), (3, 3)])
async def test_repeating_has_an_end(attempts: int, sent: int) -> None:
    """A sidecar that stays away is an error after as many attempts as the settings say."""
    line = Line(losing(100))
    async with Client(Settings(max_attempts=attempts), transport=line) as client:
        with pytest.raises(SidecarUnavailable):
            await client.state("s").get("k", int)

    assert len(line.sent) == 1 + sent


async def test_repeating_is_silent(capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing is printed, whatever logging libraries are installed (F57)."""
    async with Client(transport=Line(losing(2))) as client:
        await client.state("s").get("k", int)

    assert capfd.readouterr() == ("", "")


async def test_a_write_is_not_repeated() -> None:
    """What may have happened is left to the caller, who knows."""
    line = Line(losing(100))
    async with Client(transport=line) as client:
        store = client.state("s")
        for call in (
            client.publish("p", "t", 1),
            store.set("k", 1),
            store.delete("k", etag="1"),
            client.bind("b", "create"),
        ):
            with pytest.raises(ConnectionLost):
                await call

    assert len(line.sent) == 5


async def test_a_refusal_is_not_repeated(sidecar: SmallSidecar) -> None:
    """Only a failing connection is a reason to try again."""
    sidecar.answers["/v1.0/state/s/k"] = error(500, "ERR_STATE_GET", "no")
    async with Client(transport=InProcessTransport(sidecar)) as client:
        with pytest.raises(SidecarError, match="ERR_STATE_GET"):
            await client.state("s").get("k", int)

    assert len(sidecar.requests) == 1
