"""Codecs: what a registered type or content type does in handlers and client calls."""

import base64
import struct
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from google.protobuf.message import Message
from google.protobuf.wrappers_pb2 import StringValue

from daprflow import (
    AppDefinitionError,
    Batch,
    BindingEvent,
    Client,
    CloudEvent,
    Codecs,
    ConfigItem,
    ContentCodec,
    DaprFlow,
    Endpoint,
    InvocationError,
    JsonCodec,
    Status,
    Topic,
)
from daprflow.handlers.codecs import NO_CODECS
from daprflow.protocol.http import HttpRequest, HttpResponse
from daprflow.testing import TestSidecar
from tests.helpers.app_calls import base64_event, event, running

PROTOBUF = "application/x-protobuf"
AVRO = "application/avro"


class Money:
    """A class of the user's own."""

    def __init__(self, cents: int) -> None:
        self.cents = cents

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Money) and other.cents == self.cents

    def __hash__(self) -> int:
        return hash(self.cents)


class Invoice(msgspec.Struct):
    total: Money
    parts: list[Money] = []


@dataclass
class Reading:
    """A record in a schema's own binary form, as Avro's are."""

    sensor: int
    value: float


def read_money(text: str) -> Money:
    """The inverse of how money is written; its error quotes what it was given."""
    if not text.endswith(" c"):
        raise ValueError(f"bad money: {text}")
    return Money(int(text.removesuffix(" c")))


def read_reading(body: bytes, wanted: type[Reading]) -> Reading:
    """Decode a record of fixed layout."""
    return wanted(*struct.unpack("<id", body))


CODECS = Codecs(
    JsonCodec(Money, encode=lambda money: f"{money.cents} c", decode=read_money),
    ContentCodec(
        PROTOBUF,
        Message,
        encode=lambda message: message.SerializeToString(),
        decode=lambda body, wanted: wanted.FromString(body),
    ),
    ContentCodec(
        AVRO,
        Reading,
        encode=lambda reading: struct.pack("<id", reading.sensor, reading.value),
        decode=read_reading,
    ),
)
READING = Reading(7, 1.5)
RECORD = struct.pack("<id", 7, 1.5)
readings = Topic("pubsub", "readings", Reading)


@pytest.mark.row("S-19")
def test_a_type_works_wherever_it_is_nested() -> None:
    """A class with a codec is encoded and decoded in fields, lists and at the top."""
    invoice = Invoice(Money(5), [Money(1)])
    assert CODECS.encode(invoice) == b'{"total":"5 c","parts":["1 c"]}'
    assert CODECS.decoder(Invoice).decode(b'{"total":"5 c","parts":["1 c"]}') == invoice
    assert CODECS.decoder(Money).decode(b'"5 c"') == Money(5)


def test_a_message_inside_json_is_base64() -> None:
    """What travels as bytes stands in JSON as bytes do."""
    message = StringValue(value="x")
    encoded = CODECS.encode([message])
    assert encoded == b'["' + base64.b64encode(message.SerializeToString()) + b'"]'
    assert CODECS.decoder(list[StringValue]).decode(encoded) == [message]


def test_a_decoders_error_is_not_passed_on() -> None:
    """An error of the user's decoder may quote the data, so only its name is told."""
    with pytest.raises(msgspec.ValidationError, match=r"Expected `Money`: ValueError") as refused:
        CODECS.decoder(Invoice).decode(b'{"total":"secret"}')
    assert "secret" not in str(refused.value)


def test_what_cannot_be_registered_is_refused() -> None:
    """A codec for what needs none, twice for one class, or for JSON, is a mistake."""
    money = JsonCodec(Money, encode=str, decode=read_money)
    with pytest.raises(ValueError, match="'Money' has two codecs"):
        Codecs(money, money)
    with pytest.raises(ValueError, match="'Reading' is encoded as JSON without a codec"):
        Codecs(JsonCodec(Reading, encode=str, decode=lambda _: READING))
    with pytest.raises(ValueError, match="not JSON"):
        Codecs(ContentCodec("application/json", Reading, encode=str, decode=read_reading))
    with pytest.raises(TypeError, match="Codecs takes JsonCodec and ContentCodec, not 'str'"):
        Codecs("application/avro")  # type: ignore[arg-type]


def test_an_unknown_type_is_a_freeze_error_that_says_how_to_register() -> None:
    """A payload that nothing decodes names the remedy."""
    app = DaprFlow("shop")

    @app.invoke
    async def pay(money: Money) -> Money:
        return money

    with pytest.raises(AppDefinitionError, match=r"codecs=Codecs\(JsonCodec\(\.\.\.\)\)"):
        app.freeze()
    assert NO_CODECS.undecodable(Invoice)
    assert not CODECS.undecodable(Invoice)


def shop(seen: list[Any]) -> DaprFlow:
    """An app that takes readings in every way, and pays."""
    app = DaprFlow("shop", codecs=CODECS)

    @app.topic(readings)
    async def on_reading(reading: Reading) -> None:
        seen.append(reading)

    @app.topic("pubsub", "enveloped")
    async def on_event(event: CloudEvent[Reading]) -> None:
        seen.append((event.datacontenttype, event.data))

    @app.topic("pubsub", "batched", max_messages=5)
    async def on_batch(batch: Batch[Reading]) -> None:
        seen.extend(entry.data for entry in batch)

    @app.binding("sensor")
    async def on_sensor(event: BindingEvent[Reading]) -> None:
        seen.append(event.data)

    @app.invoke
    async def echo(reading: Reading) -> Reading:
        return reading

    @app.invoke
    async def pay(invoice: Invoice) -> Money:
        return invoice.total

    return app


async def test_a_content_type_is_the_body_of_events() -> None:
    """Binary data of an event is decoded whatever its envelope says, in singles and batches."""
    seen: list[Any] = []
    async with running(shop(seen)) as call:
        single = base64_event(RECORD, datacontenttype=AVRO)
        assert (await call.post("/dapr/topics/pubsub/readings", single)).verdict == "SUCCESS"
        enveloped = base64_event(RECORD, datacontenttype=AVRO)
        await call.post("/dapr/topics/pubsub/enveloped", enveloped)
        entry = {"entryId": "1", "contentType": "application/cloudevents+json"}
        entry["event"] = msgspec.json.decode(single)
        batch = msgspec.json.encode({"id": "b", "topic": "batched", "entries": [entry]})
        await call.post("/dapr/topics/pubsub/batched", batch)
        await call.post("/sensor", RECORD)
    assert seen == [READING, (AVRO, READING), READING, READING]


async def test_json_where_a_content_type_is_expected_does_not_fit() -> None:
    """An event with JSON data is undecodable for a type that travels otherwise."""
    seen: list[Any] = []
    async with running(shop(seen)) as call:
        answer = await call.post("/dapr/topics/pubsub/readings", event({"sensor": 7}))
    assert answer.status == 500
    assert "travels as application/avro" in answer.json["error"]
    assert seen == []


async def test_a_body_says_what_it_is() -> None:
    """A call with another content type is refused; one without any, or of plain bytes, is taken."""
    async with running(shop([])) as call:
        refused = await call.post("/echo", b"{}", [("content-type", "application/json")])
        named = await call.post("/echo", RECORD, [("content-type", AVRO + "; v=1")])
        unnamed = await call.post("/echo", RECORD)
        broken = await call.post("/echo", b"secret", [("content-type", AVRO)])
    assert refused.status == 400
    assert "it must be 'application/avro'" in refused.json["error"]
    assert (named.status, named.body, named.headers["content-type"]) == (200, RECORD, AVRO)
    assert unnamed.body == RECORD
    assert broken.json == {"error": "no 'Reading' in application/avro: error"}


async def test_both_sorts_go_through_a_sidecar() -> None:
    """Published, invoked, kept as state and triggered, the values come back as they went."""
    seen: list[Any] = []
    app = shop(seen)
    async with TestSidecar(app) as dapr:
        assert await dapr.publish(readings, READING) is Status.SUCCESS
        await dapr.trigger("sensor", READING)
        assert await dapr.invoke(Endpoint("shop", "echo", Reading, Reading), READING) == READING
        paid = await dapr.invoke(Endpoint("shop", "pay", Invoice, Money), Invoice(Money(9)))
        assert paid == Money(9)
        store = dapr.state("statestore")
        await store.set("message", [StringValue(value="x")])
        kept = await store.get("message", list[StringValue])
        await store.set("money", Money(3))
        money = await store.get("money", Money)
        assert dapr.published(readings) == [READING]
        with pytest.raises(InvocationError, match="no 'StringValue' in application/x-protobuf"):
            await dapr.invoke(Endpoint("shop", "echo", Reading, StringValue), READING)
    assert seen == [READING, READING]
    assert kept is not None
    assert kept.value == [StringValue(value="x")]
    assert money is not None
    assert money.value == Money(3)


async def test_jobs_and_configuration_know_the_codecs() -> None:
    """The data of a job and an item of a configuration store are decoded as payloads are."""
    seen: list[Any] = []
    app = DaprFlow("shop", codecs=CODECS)

    @app.job("pay")
    async def pay(invoice: Invoice) -> None:
        seen.append(invoice)

    @app.job("record")
    async def record(reading: StringValue) -> None:
        seen.append(reading)

    @app.configuration("settings", "price", default=Money(1))
    async def on_price(item: ConfigItem[Money]) -> None:
        seen.append(item.value)

    async with TestSidecar(app, configuration={"settings": {"price": '"5 c"'}}) as dapr:
        await dapr.client.schedule(pay, Invoice(Money(2)), due=timedelta(seconds=1))
        await dapr.client.schedule(record, StringValue(value="x"), due=timedelta(seconds=2))
        await dapr.advance(timedelta(seconds=3))
    assert seen == [Money(5), Invoice(Money(2)), StringValue(value="x")]


async def test_fakes_know_the_codecs_of_the_app() -> None:
    """What a test answers for another team is encoded as theirs would be."""
    remote = Endpoint("sensors", "GET /sensors/{number}", None, Reading)
    scale = Endpoint("sensors", "scale", Reading, Reading)

    async def sensor(*, number: int) -> Reading:
        return Reading(number, 0.5)

    async def scaled(reading: Reading) -> Reading:
        return Reading(reading.sensor, reading.value * 2)

    async with TestSidecar(shop([])) as dapr:
        dapr.fake(remote, sensor)
        dapr.fake(scale, scaled)
        assert await dapr.client.invoke(remote, number=7) == Reading(7, 0.5)
        assert await dapr.client.invoke(scale, READING) == Reading(7, 3.0)


@dataclass
class Answering:
    """A sidecar that keeps the last request and answers with a record."""

    last: HttpRequest | None = None
    address: str = "here"

    async def send(self, request: HttpRequest, /) -> HttpResponse:
        """Answer with a record."""
        self.last = request
        return HttpResponse(200, (("content-type", AVRO),), RECORD)

    async def close(self) -> None:
        """Do nothing."""


async def test_a_client_alone_takes_codecs() -> None:
    """Without an app, the client is given them; limits of calls leave them as they are."""
    sidecar = Answering()
    async with Client(transport=sidecar, codecs=CODECS) as client:
        echo = Endpoint("shop", "echo", Reading, Reading)
        assert await client.with_options(timeout=5).invoke(echo, READING) == READING
        assert sidecar.last is not None
        assert (sidecar.last.body, sidecar.last.headers[0]) == (RECORD, ("content-type", AVRO))
        await client.publish(readings, READING)
        assert sidecar.last.headers[0] == ("content-type", "application/octet-stream")
        await client.publish(readings, READING, content_type=AVRO)
        assert sidecar.last.headers[0] == ("content-type", AVRO)
        await client.bind("sensor", "create", Money(4))
        assert b'"data":"4 c"' in sidecar.last.body


async def test_a_content_type_may_be_text() -> None:
    """What is encoded as text goes with its own type, and comes out of the envelope as text."""
    seen: list[Reading] = []
    lines = Codecs(
        ContentCodec(
            "text/csv",
            Reading,
            encode=lambda each: f"{each.sensor},{each.value}",
            decode=lambda body, wanted: wanted(*map(float, body.decode().split(","))),
        )
    )
    app = DaprFlow("shop", codecs=lines)

    @app.topic(readings)
    async def on_reading(event: CloudEvent[Reading]) -> None:
        assert event.datacontenttype == "text/csv"
        seen.append(event.data)

    async with TestSidecar(app) as dapr:
        assert await dapr.publish(readings, READING) is Status.SUCCESS
    assert seen == [READING]
