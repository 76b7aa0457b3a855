"""Message brokers: the rows of Dapr's component conformance and certification for pub/sub."""

import asyncio
import contextlib

import pytest

from daprflow.sidecar.components.base import Message
from tests.conformance.brokers import Broker, Subscriber

TEN = list(range(10))


async def test_c_ps_01_open_and_close(broker: Broker) -> None:
    """C-PS-01: a broker opens, and closes while it has a subscriber."""
    await broker.subscribe(Subscriber(), "t")


async def test_c_ps_02_publish_ten(broker: Broker) -> None:
    """C-PS-02: every accepted message arrives, with its topic."""
    subscriber = Subscriber()
    await broker.subscribe(subscriber, "t")
    await broker.publish("t", *TEN)
    await broker.until(lambda: len(subscriber.handled) == 10)
    assert sorted(subscriber.handled) == TEN
    assert {message.topic for message in subscriber.messages} == {"t"}


async def test_messages_keep_their_bytes_and_metadata(broker: Broker) -> None:
    """A message arrives with the bytes and the metadata that it was published with."""
    got: list[Message] = []

    async def receive(message: Message) -> None:
        got.append(message)

    sent = Message("t", bytes(range(256)), {"Key": "väl", "empty": ""}, "application/x-odd")
    await broker.component.subscribe("t", "c", {}, receive)
    await broker.component.publish(sent)
    await broker.until(lambda: bool(got))
    assert (got[0].data, got[0].metadata) == (sent.data, sent.metadata)
    assert got[0].content_type == (sent.content_type if broker.traits.keeps_content_type else "")


async def test_c_ps_03_failing_handler(broker: Broker) -> None:
    """C-PS-03: everything arrives that was not failed on purpose; failed ones stop nothing."""
    attempts: dict[bytes, int] = {}

    def fails(message: Message) -> bool:
        attempts[message.data] = attempts.get(message.data, 0) + 1
        number = int(message.data)
        return attempts[message.data] == 1 and (number < 2 or number % 5 == 0)

    subscriber = Subscriber(fails)
    await broker.subscribe(subscriber, "t")
    await broker.publish("t", *range(20))
    lost = set() if broker.traits.redelivers else {0, 1, 5, 10, 15}
    await broker.until(lambda: set(subscriber.handled) == set(range(20)) - lost)
    assert subscriber.failed == [0, 1, 5, 10, 15]


async def test_c_ps_04_order(broker: Broker) -> None:
    """C-PS-04: messages of one publisher are taken up in order while none fails."""
    subscriber = Subscriber()
    await broker.subscribe(subscriber, "t")
    await broker.publish("t", *range(50))
    await broker.until(lambda: len(subscriber.handled) == 50)
    assert [int(message.data) for message in subscriber.messages] == list(range(50))


async def test_c_ps_05_redelivery(broker: Broker) -> None:
    """C-PS-05: a message is delivered again until it is handled, or never again."""
    subscriber = Subscriber(lambda message: message.attempt < 4)
    await broker.subscribe(subscriber, "t")
    await broker.publish("t", 7)
    if not broker.traits.redelivers:
        await broker.publish("t", 8)
        await broker.until(lambda: subscriber.failed == [7, 8])
        return
    await broker.until(lambda: subscriber.handled == [7])
    assert [message.attempt for message in subscriber.messages] == [1, 2, 3, 4]


async def test_c_ps_08_two_topics(broker: Broker) -> None:
    """C-PS-08: two topics with a handler each both complete and do not mix."""
    first, second = Subscriber(), Subscriber()
    await broker.subscribe(first, "one")
    await broker.subscribe(second, "two")
    await broker.publish("one", *TEN)
    await broker.publish("two", *range(10, 20))
    await broker.until(lambda: len(first.handled) == len(second.handled) == 10)
    assert (sorted(first.handled), sorted(second.handled)) == (TEN, list(range(10, 20)))


async def test_c_ps_09_10_stop(broker: Broker) -> None:
    """C-PS-09, 10: the other one goes on when one of two stops; with none publishing succeeds."""
    first, second = Subscriber(), Subscriber()
    stop_first = await broker.subscribe(first, "t", "one")
    stop_second = await broker.subscribe(second, "t", "two")
    await broker.publish("t", 1)
    await broker.until(lambda: first.handled == second.handled == [1])
    await stop_first()
    await broker.publish("t", 2)
    await broker.until(lambda: second.handled == [1, 2])
    await stop_second()
    await broker.publish("t", 3)
    assert first.handled == [1]
    assert second.handled == [1, 2]


@pytest.mark.row("I-SH")
async def test_stop_lets_what_is_in_flight_end(broker: Broker) -> None:
    """Stopping a subscription waits for the message that is being handled."""
    started, go_on = asyncio.Event(), asyncio.Event()
    ended: list[bytes] = []

    async def receive(message: Message) -> None:
        started.set()
        await go_on.wait()
        ended.append(message.data)

    stop = await broker.component.subscribe("t", "c", {}, receive)
    await broker.publish("t", 1)
    await started.wait()
    stopping = asyncio.ensure_future(stop())
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(stopping), 0.05)
    assert not stopping.done()
    go_on.set()
    await stopping
    assert ended == [b"1"]


async def test_c_ps_11_a_thousand(broker: Broker) -> None:
    """C-PS-11: of a thousand messages with errors now and then none is missing."""
    subscriber = Subscriber(lambda message: message.attempt == 1 and int(message.data) % 100 == 99)
    await broker.subscribe(subscriber, "t")
    await broker.publish("t", *range(1000))
    lost = set() if broker.traits.redelivers else set(range(99, 1000, 100))
    await broker.until(lambda: set(subscriber.handled) == set(range(1000)) - lost)
    assert len(subscriber.handled) == 1000 - len(lost)


async def test_c_ps_12_other_topic(broker: Broker) -> None:
    """C-PS-12: a topic that is not subscribed is not delivered, be its name a part of another."""
    subscriber = Subscriber()
    await broker.subscribe(subscriber, "orders")
    for topic in ("order", "orders2", "Orders", "orders/x", "nobody"):
        await broker.publish(topic, 1)
    await broker.publish("orders", 2)
    await broker.until(lambda: subscriber.handled == [2])


async def test_c_ps_13_one_consumer(broker: Broker) -> None:
    """C-PS-13: subscribers of one consumer id share what was published, where they compete."""
    first, second = Subscriber(), Subscriber()
    await broker.subscribe(first, "t", "same")
    await broker.subscribe(second, "t", "same")
    await broker.publish("t", *range(40))
    times = 1 if broker.traits.competing else 2
    await broker.until(lambda: len(first.handled) + len(second.handled) == 40 * times)
    assert sorted(first.handled + second.handled) == sorted(list(range(40)) * times)


async def test_c_ps_14_two_consumers(broker: Broker) -> None:
    """C-PS-14: each consumer id gets everything, and one that fails does not disturb the other."""
    first, second = Subscriber(lambda message: message.attempt == 1), Subscriber()
    await broker.subscribe(first, "t", "one")
    await broker.subscribe(second, "t", "two")
    await broker.publish("t", *TEN)
    expected = TEN if broker.traits.redelivers else []
    await broker.until(lambda: sorted(second.handled) == TEN and sorted(first.handled) == expected)
    assert len(first.failed) == 10


async def test_c_ps_19_backlog(broker: Broker) -> None:
    """C-PS-19: a consumer that was away gets what was published meanwhile, where it is kept."""
    subscriber = Subscriber()
    stop = await broker.subscribe(subscriber, "t")
    await broker.publish("t", 1)
    await broker.until(lambda: subscriber.handled == [1])
    await stop()
    await broker.publish("t", 2, 3)
    await broker.subscribe(subscriber, "t")
    await broker.publish("t", 4)
    kept = [1, 2, 3, 4] if broker.traits.keeps_backlog else [1, 4]
    await broker.until(lambda: sorted(subscriber.handled) == kept)


async def test_c_ps_20_consumers_join_and_leave(broker: Broker) -> None:
    """C-PS-20: nothing is lost when consumers join and leave under load, where it is kept."""
    if not broker.traits.keeps_backlog:
        return
    subscriber = Subscriber()
    await broker.subscribe(subscriber, "t")
    for number in range(30):
        stop = await broker.subscribe(subscriber, "t")
        await broker.publish("t", number)
        await stop()
    await broker.until(lambda: set(subscriber.handled) == set(range(30)))


async def test_c_ps_21_wildcards(broker: Broker) -> None:
    """C-PS-21: a topic with a wildcard gets every topic that it matches, where advertised."""
    assert ("SUBSCRIBE_WILDCARDS" in broker.component.capabilities) == broker.traits.wildcards
    if not broker.traits.wildcards:
        return
    subscriber = Subscriber()
    await broker.subscribe(subscriber, "orders/*")
    await broker.publish("orders/de", 1)
    await broker.publish("other/de", 2)
    await broker.publish("orders/fr", 3)
    await broker.until(lambda: subscriber.handled == [1, 3])


async def test_accepted_messages_survive_a_restart(durable_broker: Broker) -> None:
    """What a durable broker accepted is there when it is opened again, with its attempts."""
    subscriber = Subscriber(lambda message: int(message.data) == 2)
    stop = await durable_broker.subscribe(subscriber, "t")
    await durable_broker.publish("t", 1, 2)
    await durable_broker.until(lambda: subscriber.failed.count(2) >= 2)
    await stop()
    async with durable_broker.reopen() as component:
        again = Subscriber()
        await component.subscribe("t", "c", {}, again.receive)
        await durable_broker.until(lambda: again.handled == [2])
        assert again.messages[0].attempt > 2
