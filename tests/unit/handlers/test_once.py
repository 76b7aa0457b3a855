"""``once``: an event is handled at most once within a window, by marks in a state store."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from daprflow import (
    AppDefinitionError,
    Batch,
    Client,
    CloudEvent,
    DaprFlow,
    Drop,
    Retry,
    Status,
)
from daprflow.client.inbox import Inbox, Mark, Seen
from daprflow.reliability import Once
from daprflow.testing.transport import InProcessTransport
from tests.helpers.app_calls import Caller, attributes, event, running
from tests.helpers.small_sidecar import SmallSidecar, error
from tests.helpers.timing import eventually

SECOND = timedelta(seconds=1)


@pytest.fixture
def sidecar() -> SmallSidecar:
    """A sidecar whose state store has ETags."""
    return SmallSidecar()


@pytest.fixture
def app(sidecar: SmallSidecar) -> DaprFlow:
    """An app of that sidecar."""
    app = DaprFlow("shop")
    app.client = Client(transport=InProcessTransport(sidecar))
    return app


@pytest.fixture
async def client(sidecar: SmallSidecar) -> AsyncIterator[Client]:
    """A client of that sidecar."""
    async with Client(transport=InProcessTransport(sidecar)) as client:
        yield client


def marks(sidecar: SmallSidecar) -> list[bool]:
    """Whether each mark in the store says that it is done."""
    return [msgspec.json.decode(value, type=Mark).done for value, _ in sidecar.values.values()]


@pytest.mark.row("FA-36")
async def test_an_event_that_comes_twice_is_handled_once(
    app: DaprFlow, sidecar: SmallSidecar
) -> None:
    """Its source and its id say which it is; the second one is acknowledged."""
    handled: list[int] = []

    @app.topic("pubsub", "orders", once="statestore")
    async def on_order(number: int) -> None:
        handled.append(number)

    async with running(app) as call:
        for name, source in (("1", "a"), ("1", "a"), ("2", "a"), ("1", "b"), ("2", "a")):
            assert (await call.deliver(7, id=name, source=source)).verdict == "SUCCESS"
    assert handled == [7, 7, 7]
    assert marks(sidecar) == [True] * 3
    assert {key.partition(":")[0] for key in sidecar.values} == {"once"}


@pytest.mark.row("FA-36")
async def test_of_twenty_deliveries_at_one_time_one_is_handled(app: DaprFlow) -> None:
    """The others come again, and are acknowledged then."""
    handled: list[int] = []
    go_on = asyncio.Event()

    @app.topic("pubsub", "orders", once="statestore")
    async def on_order(number: int) -> None:
        handled.append(number)
        await go_on.wait()

    async with running(app) as call:
        answers = [asyncio.create_task(call.deliver(1, id="1")) for _ in range(20)]
        await eventually(lambda: sum(each.done() for each in answers) == 19)
        go_on.set()
        verdicts = sorted([(await each).verdict for each in answers])
        assert verdicts == ["RETRY"] * 19 + ["SUCCESS"]
        assert (await call.deliver(1, id="1")).verdict == "SUCCESS"
    assert handled == [1]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (Retry(), "RETRY"),
        (Status.RETRY, "RETRY"),
        (Drop(), "DROP"),
        (Status.DROP, "DROP"),
        (ValueError(), ""),
    ],
    ids=repr,
)
async def test_what_was_not_done_may_be_handled_again(
    app: DaprFlow, sidecar: SmallSidecar, given: Any, expected: str
) -> None:
    """A failed delivery gives its claim back; so does one that is dropped."""
    times: list[int] = []

    @app.topic("pubsub", "orders", once="statestore")
    async def on_order(number: int) -> Status | None:
        times.append(number)
        if len(times) > 1:
            return None
        if isinstance(given, Status):
            return given
        raise given

    async with running(app) as call:
        first = await call.deliver(1, id="1")
        assert (first.verdict if expected else first.status) == (expected or 500)
        assert sidecar.values == {}
        assert (await call.deliver(1, id="1")).verdict == "SUCCESS"
    assert times == [1, 1]


async def test_each_handler_has_marks_of_its_own(app: DaprFlow) -> None:
    """Two topics may carry one event."""
    handled: list[str] = []

    @app.topic("pubsub", "orders", once="statestore")
    async def on_order(number: int) -> None:
        handled.append("orders")

    @app.topic("pubsub", "copies", once="statestore")
    async def on_copy(number: int) -> None:
        handled.append("copies")

    async with running(app) as call:
        await call.deliver(1, id="1")
        await call.deliver(1, "pubsub/copies", id="1")
    assert handled == ["orders", "copies"]


async def test_a_key_of_ones_own(app: DaprFlow) -> None:
    """It is given the event with its data as the handler's type says."""

    class Order(msgspec.Struct):
        number: int

    handled: list[int] = []
    once = Once("statestore", key=lambda found: str(found.data.number))

    @app.topic("pubsub", "orders", once=once)
    async def on_order(found: CloudEvent[Order]) -> None:
        handled.append(found.data.number)

    async with running(app) as call:
        for number, name in ((1, "a"), (1, "b"), (2, "c")):
            assert (await call.deliver({"number": number}, id=name)).verdict == "SUCCESS"
    assert handled == [1, 2]


async def test_raw_events_are_known_by_their_data(app: DaprFlow) -> None:
    """A sidecar gives each delivery of theirs a new id."""
    handled: list[bytes] = []

    @app.topic("pubsub", "orders", raw=True, once="statestore")
    async def on_order(data: bytes) -> None:
        handled.append(data)

    async with running(app) as call:
        for name, data in (("1", "YQ=="), ("2", "YQ=="), ("3", "Yg==")):
            body = msgspec.json.encode({**attributes(id=name), "data_base64": data})
            assert (await call.post("/dapr/topics/pubsub/orders", body)).verdict == "SUCCESS"
    assert handled == [b"a", b"b"]


def batch(*events: Any) -> bytes:
    """A bulk delivery; entries are called 0, 1, 2 and so on."""
    entries = [
        {"entryId": str(number), "event": each, "contentType": "x"}
        for number, each in enumerate(events)
    ]
    return msgspec.json.encode({"entries": entries, "pubsubname": "pubsub", "topic": "orders"})


async def bulk(call: Caller, *events: Any) -> list[str]:
    """Deliver a batch; the verdicts in order."""
    answer = await call.post("/dapr/topics/pubsub/orders", batch(*events))
    return [each["status"] for each in answer.json["statuses"]]


@pytest.mark.row("FA-36")
async def test_each_entry_of_a_batch_is_handled_once(app: DaprFlow, sidecar: SmallSidecar) -> None:
    """Those that were done are acknowledged, and the handler is given the others."""
    handled: list[list[int]] = []

    @app.topic("pubsub", "orders", once="statestore")
    async def on_orders(found: Batch[int]) -> None:
        handled.append([entry.data for entry in found])
        for entry in found:
            if entry.data == 3 and len(handled) == 1:
                entry.retry()

    def one(number: int) -> dict[str, Any]:
        return {**attributes(id=str(number)), "data": number}

    async with running(app) as call:
        assert await bulk(call, one(1), one(2), one(3), one(1)) == [
            "SUCCESS",
            "SUCCESS",
            "RETRY",
            "RETRY",
        ]
        assert await bulk(call, one(1), one(3), one(4)) == ["SUCCESS"] * 3
        assert await bulk(call, one(1), one(3)) == ["SUCCESS"] * 2
    assert handled == [[1, 2, 3], [3, 4]]
    assert marks(sidecar) == [True] * 4


async def test_a_batch_that_fails_gives_back_what_was_not_done(
    app: DaprFlow, sidecar: SmallSidecar
) -> None:
    """What the handler acknowledged before stays done."""

    @app.topic("pubsub", "orders", once="statestore")
    async def on_orders(found: Batch[int]) -> None:
        found[0].done()
        raise ValueError

    async with running(app) as call:
        events = [{**attributes(id=str(number)), "data": number} for number in (1, 2)]
        assert await bulk(call, *events) == ["SUCCESS", "RETRY"]
    assert marks(sidecar) == [True]


async def test_without_its_store_an_event_is_not_handled(
    app: DaprFlow, sidecar: SmallSidecar
) -> None:
    """It fails, and comes again."""
    sidecar.answers["/v1.0/state/statestore"] = error(500, "ERR_STATE_SAVE", "away")

    @app.topic("pubsub", "orders", once="statestore")
    async def on_order(number: int) -> None:
        raise AssertionError

    @app.topic("pubsub", "many", once="statestore")
    async def on_orders(found: Batch[int]) -> None:
        raise AssertionError

    async with running(app) as call:
        assert (await call.deliver(1)).status == 500
        answer = await call.post("/dapr/topics/pubsub/many", batch({**attributes(), "data": 1}))
        assert answer.json["statuses"][0]["status"] == "RETRY"


async def test_the_claim_of_a_dead_process_ends(client: Client) -> None:
    """Until then the event comes again and again; after it somebody else handles it."""
    now = [1000.0]
    client._caller.way.now = lambda: now[0]
    dead, alive = (Inbox(client, "statestore", 60 * SECOND, 30 * SECOND) for _ in range(2))
    assert not isinstance(await dead.claim("once:1"), Seen)
    assert await alive.claim("once:1") is Seen.RUNNING
    now[0] += 31
    first, second = await asyncio.gather(alive.claim("once:1"), alive.claim("once:1"))
    assert (first is Seen.RUNNING) != (second is Seen.RUNNING)


async def test_what_is_done_is_forgotten_after_the_window(client: Client) -> None:
    """The store forgets it where it can, and its mark says so where it cannot."""
    now = [1000.0]
    client._caller.way.now = lambda: now[0]
    inbox = Inbox(client, "statestore", 60 * SECOND, 30 * SECOND)
    claim = await inbox.claim("once:1")
    assert not isinstance(claim, Seen)
    assert await inbox.done(claim)
    now[0] += 59
    assert await inbox.claim("once:1") is Seen.DONE
    now[0] += 2
    assert not isinstance(await inbox.claim("once:1"), Seen)


async def test_a_claim_is_renewed_while_its_handler_runs(client: Client) -> None:
    """However long that takes."""
    inbox = Inbox(client, "statestore", 60 * SECOND, timedelta(milliseconds=60))
    claim = await inbox.claim("once:1")
    assert not isinstance(claim, Seen)
    async with inbox.renewed([claim]):
        before = await client.state("statestore").get("once:1", Mark)
        assert before is not None
        await asyncio.sleep(0.15)
        assert await inbox.claim("once:1") is Seen.RUNNING


async def test_a_claim_that_another_one_took_is_left_to_it(client: Client) -> None:
    """Giving back is for one's own."""
    inbox = Inbox(client, "statestore", 60 * SECOND, 30 * SECOND)
    claim = await inbox.claim("once:1")
    assert not isinstance(claim, Seen)
    await client.state("statestore").set("once:1", Mark("another", 9e9))
    await inbox.release(claim)
    assert await inbox.claim("once:1") is Seen.RUNNING


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (5, "sets once=5; it must be the name of a state store or a Once"),
        ("", "sets 'once' without the name of a state store"),
        (Once("s", window=timedelta()), r"sets Once\(window=.*a second or more"),
        (Once("s", lease=timedelta(milliseconds=1)), r"sets Once\(lease=.*a second or more"),
        (Once("s", key="id"), r"sets Once\(key='id'\); it must be a function"),  # type: ignore[arg-type]  # the mistake
    ],
)
def test_a_mistake_is_told_at_freeze(given: Any, expected: str) -> None:
    """With the handler's name and its line."""
    app = DaprFlow("shop")

    @app.topic("pubsub", "orders", once=given)
    async def on_order(number: int) -> None: ...

    place = r"topic handler 'on_order' \(tests\.unit\.handlers\.test_once:\d+\) "
    with pytest.raises(AppDefinitionError, match=place + expected):
        app.freeze()


async def test_an_event_that_cannot_be_decoded_is_not_claimed(
    app: DaprFlow, sidecar: SmallSidecar
) -> None:
    """Nothing is kept of it."""

    @app.topic("pubsub", "orders", once="statestore")
    async def on_order(number: int) -> None: ...

    async with running(app) as call:
        assert (await call.post("/dapr/topics/pubsub/orders", event("x"))).status == 500
    assert sidecar.values == {}
