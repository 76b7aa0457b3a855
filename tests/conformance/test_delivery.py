"""Delivery of events: what an app's answers mean, what an envelope holds, bulk and expiry."""

import base64
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from daprflow.sidecar.options import RuntimeOptions
from tests.helpers.recording import Answer
from tests.helpers.sidecar import Components
from tests.helpers.subscribers import CLOUDEVENT, DURABLE, JSON, PUBSUB, Subscribed, subscribed

ORDERS = {"topic": "orders", "route": "/orders", "deadLetterTopic": "dead"}
DEAD = {"topic": "dead", "route": "/dead"}
BULK = {
    "topic": "bulk",
    "route": "/bulk",
    "bulkSubscribe": {"enabled": True, "maxMessagesCount": 5, "maxAwaitDurationMs": 500},
}
RAW = {"topic": "raw", "route": "/raw", "metadata": {"rawPayload": "true"}}
ROUTED = {
    "topic": "routed",
    "routes": {
        "rules": [
            {"match": 'event.type == "vip"', "path": "/vip"},
            {"match": "event.data.total > 100", "path": "/big"},
        ],
        "default": "/rest",
    },
}
STRICT = {
    "topic": "strict",
    "routes": {"rules": [{"match": 'event.type == "vip"', "path": "/vip"}]},
    "deadLetterTopic": "dead",
}

DONE = {
    "empty": Answer(200),
    "created": Answer(201),
    "no content": Answer(204),
    "not JSON": Answer(200, b"hi"),
    "SUCCESS": Answer.of({"status": "SUCCESS"}),
    "empty status": Answer.of({"status": ""}),
    "no status": Answer.of({"x": 1}),
    "list": Answer.of([1]),
    "string": Answer.of("RETRY"),
    "number as status": Answer.of({"status": 1}),
}
GIVEN_UP = {"DROP": Answer.of({"status": "DROP"}), "404": Answer(404)}
AGAIN = {
    "RETRY": Answer.of({"status": "RETRY"}),
    "lower case": Answer.of({"status": "success"}),
    "unknown status": Answer.of({"status": "WHAT"}),
    "redirect": Answer(302),
    "400": Answer(400),
    "403": Answer(403),
    "500": Answer(500, b"boom"),
    "503": Answer(503),
}


@pytest.fixture
async def in_memory(tmp_path: Path) -> AsyncIterator[Subscribed]:
    """A sidecar with the broker that forgets what fails."""
    async with subscribed(tmp_path, [ORDERS, DEAD, BULK, RAW, ROUTED, STRICT]) as found:
        yield found


@pytest.fixture
async def durable(tmp_path: Path) -> AsyncIterator[Subscribed]:
    """A sidecar with the broker that delivers again."""
    async with subscribed(
        tmp_path, [ORDERS, DEAD, BULK, RAW, ROUTED], DURABLE, data_dir=tmp_path
    ) as found:
        yield found


async def test_verdicts_that_end_an_event(in_memory: Subscribed) -> None:
    """Every 2xx answer without a verdict of another kind acknowledges an event."""
    for case, answer in DONE.items():
        in_memory.app.answers["/orders"] = answer
        await in_memory.publish("orders", case)
        await in_memory.arrived("/orders")
        assert await in_memory.settled("/dead") == [], case


@pytest.mark.row("I-SU")
@pytest.mark.parametrize("case", [*GIVEN_UP, *AGAIN])
async def test_verdicts_that_dead_letter(in_memory: Subscribed, case: str) -> None:
    """Without redelivery, what is not acknowledged is dead-lettered at once, unchanged."""
    in_memory.app.answers["/orders"] = {**GIVEN_UP, **AGAIN}[case]
    await in_memory.publish("orders", case)
    dead = await in_memory.arrived("/dead")
    assert [call.body for call in dead] == [call.body for call in in_memory.app.to("/orders")]
    assert len(dead) == 1


@pytest.mark.parametrize("case", GIVEN_UP)
async def test_durable_gives_up_at_once(durable: Subscribed, case: str) -> None:
    """DROP and 404 send an event to the dead letter topic without another attempt."""
    durable.app.answers["/orders"] = GIVEN_UP[case]
    await durable.publish("orders", case)
    await durable.arrived("/dead")
    assert len(await durable.settled("/orders")) == 1


@pytest.mark.parametrize("case", AGAIN)
async def test_durable_delivers_again(durable: Subscribed, case: str) -> None:
    """A failed event is delivered again until it succeeds, and nothing is dead-lettered."""
    durable.app.answers["/orders"] = AGAIN[case]
    await durable.publish("orders", case)
    await durable.arrived("/orders", 3)
    durable.app.answers.clear()
    last = len(durable.app.to("/orders")) + 1
    calls = await durable.arrived("/orders", last)
    assert len({call.body for call in calls}) == 1
    assert await durable.settled("/dead") == []
    assert len(durable.app.to("/orders")) == last


@pytest.mark.row("FA-13")
async def test_durable_dead_letters_after_ten(durable: Subscribed) -> None:
    """A durable event that never succeeds reaches its dead letter topic after ten attempts."""
    durable.app.answers["/orders"] = Answer(500)
    await durable.publish("orders", 1)
    dead = await durable.arrived("/dead")
    assert len(durable.app.to("/orders")) == 10
    assert dead[0].body == durable.app.to("/orders")[0].body


ENVELOPES: dict[str, tuple[str, bytes, dict[str, Any]]] = {
    "json": ("application/json", b'{"a": 1}', {"data": {"a": 1}}),
    "json with parameter": ("application/json; charset=utf-8", b"[1]", {"data": [1]}),
    "json in capitals": ("Application/JSON", b"[1]", {"data": [1]}),
    "bad json": ("application/json", b"{bad", {"data": "{bad"}),
    "big number": (
        "application/json",
        b'{"n":12345678901234567890}',
        {"data": {"n": 12345678901234567890}},
    ),
    "duplicate keys": ("application/json", b'{"a":1,"a":2}', {"data": {"a": 2}}),
    "json suffix": ("application/vnd.x+json", b'{"a":1}', {"data": '{"a":1}'}),
    "text": ("text/plain", b"hi", {"data": "hi"}),
    "form": ("application/x-www-form-urlencoded", b"a=1", {"data": "a=1"}),
    "xml": ("application/xml", b"<a/>", {"data": "<a/>"}),
    "binary": (
        "application/octet-stream",
        b"\x00\xff",
        {"data_base64": base64.b64encode(b"\x00\xff").decode()},
    ),
    "empty": ("text/plain", b"", {"data": ""}),
}


@pytest.mark.row("I-PS")
@pytest.mark.parametrize("case", ENVELOPES)
async def test_envelope(in_memory: Subscribed, case: str) -> None:
    """A published body is wrapped by its content type, with every attribute of the real one."""
    content_type, body, expected = ENVELOPES[case]
    target = "/v1.0/publish/pubsub/orders"
    answer = await in_memory.send("POST", target, body, [("content-type", content_type)])
    assert answer.status == 204
    (call,) = await in_memory.arrived("/orders")
    envelope = call.json()
    assert {name: envelope[name] for name in expected} == expected
    assert ("data" in envelope) != ("data_base64" in envelope)
    assert envelope["datacontenttype"] == content_type
    assert (envelope["source"], envelope["topic"]) == ("app1", "orders")
    assert (envelope["type"], envelope["specversion"]) == ("com.dapr.event.sent", "1.0")
    assert call.header("content-type") == "application/cloudevents+json"
    assert call.header("pubsubname") == "pubsub"
    assert list(envelope) == sorted(envelope)


async def test_envelope_without_content_type(in_memory: Subscribed) -> None:
    """A body without a content type is text."""
    await in_memory.send("POST", "/v1.0/publish/pubsub/orders", b"hi", [])
    (call,) = await in_memory.arrived("/orders")
    assert (call.json()["data"], call.json()["datacontenttype"]) == ("hi", "text/plain")


@pytest.mark.row("I-SU")
async def test_raw_payloads(in_memory: Subscribed) -> None:
    """A raw subscription gets the message's bytes in base64, whatever they are."""
    target = "/v1.0/publish/pubsub/raw?metadata.rawPayload=true"
    await in_memory.send("POST", target, b"\x00\xff", JSON)
    (call,) = await in_memory.arrived("/raw")
    assert base64.b64decode(call.json()["data_base64"]) == b"\x00\xff"
    assert call.json()["source"] == "Dapr"


@pytest.mark.row("I-SU")
@pytest.mark.parametrize(
    ("query", "value", "path"),
    [
        ("?metadata.cloudevent.type=vip", {"total": 1}, "/vip"),
        ("?metadata.cloudevent.type=vip", {"total": 1000}, "/vip"),
        ("", {"total": 101}, "/big"),
        ("", {"total": 100.5}, "/big"),
        ("", {"total": 100}, "/rest"),
    ],
)
async def test_routing(in_memory: Subscribed, query: str, value: Any, path: str) -> None:
    """The first rule that matches takes the event; the default takes the rest."""
    target = f"/v1.0/publish/pubsub/routed{query}"
    await in_memory.send("POST", target, msgspec.json.encode(value))
    await in_memory.arrived(path)
    assert [call.path for call in in_memory.app.calls if call.method == "POST"] == [path]


@pytest.mark.row("I-SU")
async def test_event_that_no_rule_takes(in_memory: Subscribed) -> None:
    """An event without a matching rule goes to the dead letter topic and not to the app."""
    await in_memory.publish("strict", {})
    await in_memory.arrived("/dead")
    assert in_memory.app.to("/vip") == []


async def test_c_ps_06_bulk_publish(durable: Subscribed) -> None:
    """C-PS-06: all entries of a bulk publish arrive."""
    entries = [
        {"entryId": str(n), "event": n, "contentType": "application/json"} for n in range(10)
    ]
    target = "/v1.0/publish/bulk/pubsub/orders"
    answer = await durable.send("POST", target, msgspec.json.encode(entries))
    assert (answer.status, answer.body) == (204, b"")
    calls = await durable.arrived("/orders", 10)
    assert sorted(call.json()["data"] for call in calls) == list(range(10))


def entries_of(found: Subscribed) -> list[tuple[Any, str]]:
    """Return data and id of every entry delivered in bulk so far."""
    return [
        (entry["event"]["data"], entry["entryId"])
        for call in found.app.to("/bulk")
        for entry in call.json()["entries"]
    ]


@pytest.mark.row("I-SU")
async def test_c_ps_07_bulk_subscribe(tmp_path: Path) -> None:
    """C-PS-07: each entry is answered on its own; a failed one comes again without its siblings."""
    async with subscribed(tmp_path, [BULK], DURABLE) as found:
        failed: list[str] = []

        def verdicts(body: Any) -> Answer:
            statuses = []
            for entry in body["entries"]:
                fails = entry["event"]["data"] == 3 and len(failed) < 2
                failed.extend([entry["entryId"]] if fails else [])
                statuses.append(
                    {"entryId": entry["entryId"], "status": "RETRY" if fails else "SUCCESS"}
                )
            return Answer.of({"statuses": statuses})

        found.app.computed["/bulk"] = lambda call: verdicts(call.json())
        for number in range(7):
            await found.publish("bulk", number)
        await found.sidecar.until(lambda: len(entries_of(found)) == 9)
        await found.settled("/bulk")
    seen = [data for data, _ in entries_of(found)]
    assert sorted(seen) == [0, 1, 2, 3, 3, 3, 4, 5, 6]
    assert max(len(call.json()["entries"]) for call in found.app.to("/bulk")) <= 5


@pytest.mark.parametrize(
    "answer", [Answer(200), Answer(200, b"hi"), Answer.of({"statuses": []}), Answer(500)]
)
async def test_bulk_without_verdicts_is_retried(durable: Subscribed, answer: Answer) -> None:
    """In bulk an empty or unreadable answer fails every entry: the opposite of single delivery."""
    durable.app.answers["/bulk"] = answer
    await durable.publish("bulk", 1)
    await durable.arrived("/bulk", 3)


async def test_bulk_404_acknowledges(durable: Subscribed) -> None:
    """In bulk a 404 acknowledges every entry."""
    durable.app.answers["/bulk"] = Answer(404)
    await durable.publish("bulk", 1)
    await durable.arrived("/bulk")
    assert len(await durable.settled("/bulk")) == 1


async def test_c_ps_15_expired_events(durable: Subscribed) -> None:
    """C-PS-15: an expired event never reaches its handler; one that is alive does."""
    clock = durable.sidecar.clock
    await durable.sidecar.runtime.pause()
    for seconds in (5, 500):
        target = f"/v1.0/publish/pubsub/orders?metadata.ttlInSeconds={seconds}"
        await durable.send("POST", target, str(seconds).encode())
    clock.move_to(clock.now() + 60)
    await durable.sidecar.runtime.reconnect()
    await durable.arrived("/orders")
    calls = await durable.settled("/orders")
    assert [call.json()["data"] for call in calls] == [500]


ATTRIBUTES = (
    "id",
    "source",
    "type",
    "specversion",
    "time",
    "subject",
    "datacontenttype",
    "dataschema",
    "traceid",
    "traceparent",
    "tracestate",
    "topic",
    "pubsubname",
    "expiration",
    "data",
    "data_base64",
    "myextension",
)

JSON_VALUES = [None, True, False, 0, -1, 1.5, 10**30, "", "x", "é", [], [1], {}, {"a": 1}]


@pytest.mark.row("FA-15", "I-PS", "R-01", "S-42")
@pytest.mark.parametrize("attribute", ATTRIBUTES)
async def test_r_01_any_json_in_any_attribute(tmp_path: Path, attribute: str) -> None:
    """R-01: no JSON value in any CloudEvent attribute harms the sidecar or the event after it."""
    async with subscribed(tmp_path, [ORDERS, DEAD]) as found:
        good = {"id": "1", "source": "s", "type": "t", "specversion": "1.0", "data": 1}
        for value in JSON_VALUES:
            body = msgspec.json.encode({**good, attribute: value})
            answer = await found.send("POST", "/v1.0/publish/pubsub/orders", body, CLOUDEVENT)
            assert answer.status in {204, 400, 500}
            if answer.status != 204:
                error = msgspec.json.decode(answer.body)
                assert error["errorCode"].startswith("ERR_PUBSUB")
                assert "\n" not in error["message"]
        await found.publish("orders", "afterwards")
        await found.sidecar.until(
            lambda: any(call.json().get("data") == "afterwards" for call in found.app.to("/orders"))
        )


async def test_overrides(in_memory: Subscribed) -> None:
    """Publish metadata overrides attributes, in any case of its names; data and topic stay."""
    trace = "00-11111111111111111111111111111111-2222222222222222-01"
    overrides = {
        "CloudEvent.ID": "1",
        "cloudevent.source": "s",
        "cloudevent.subject": "about",
        "cloudevent.traceid": trace,
        "cloudevent.topic": "other",
        "cloudevent.data": "other",
    }
    query = "&".join(f"metadata.{name}={value}" for name, value in overrides.items())
    await in_memory.send("POST", f"/v1.0/publish/pubsub/orders?{query}", b"7")
    (call,) = await in_memory.arrived("/orders")
    envelope = call.json()
    assert (envelope["id"], envelope["source"], envelope["subject"]) == ("1", "s", "about")
    assert envelope["traceid"] == envelope["traceparent"] == trace
    assert (envelope["topic"], envelope["data"]) == ("orders", 7)
    assert call.header("traceparent") == trace


@pytest.mark.row("I-PS", "S-15", "S-42")
async def test_publisher_metadata_cannot_forge_headers(tmp_path: Path) -> None:
    """Publish metadata becomes headers, but none that has a meaning to the sidecar or to HTTP."""
    options = RuntimeOptions("app1", app_port=1, app_token="t0k3n")
    forged = {
        "foo": "bar",
        "dapr-api-token": "evil",
        "DAPR-API-TOKEN": "evil",
        "content-length": "3",
        "content-type": "text/evil",
        "host": "evil",
        "transfer-encoding": "chunked",
        "pubsubName": "evil",
        "x%0d%0aevil": "1",
        "value": "a%0d%0aevil:1",
    }
    query = "&".join(f"metadata.{name}={value}" for name, value in forged.items())
    async with subscribed(tmp_path, [ORDERS], options=options) as found:
        await found.send("POST", f"/v1.0/publish/pubsub/orders?{query}", b"7")
        (call,) = await found.arrived("/orders")
    assert call.header("foo") == "bar"
    assert [value for name, value in call.headers if name == "dapr-api-token"] == ["t0k3n"]
    assert call.header("content-type") == "application/cloudevents+json"
    assert all("\r" not in text and "\n" not in text for pair in call.headers for text in pair)
    names = [name for name, _ in call.headers]
    assert len(names) == len(set(names))
    assert {"transfer-encoding", "x\r\nevil"}.isdisjoint(names)
    assert call.header("host") == "127.0.0.1"
    assert call.header("pubsubname") == "pubsub"


@pytest.mark.parametrize("name", ["ttlInSeconds", "ttl"])
async def test_expiration(in_memory: Subscribed, name: str) -> None:
    """A TTL becomes the time at which the event expires, where the broker has no TTL itself."""
    await in_memory.send("POST", f"/v1.0/publish/pubsub/orders?metadata.{name}=10", b"7")
    (call,) = await in_memory.arrived("/orders")
    envelope = call.json()
    moments = [datetime.fromisoformat(envelope[key]) for key in ("time", "expiration")]
    assert (moments[1] - moments[0]).total_seconds() == 10


@pytest.mark.row("I-PS")
@pytest.mark.parametrize("trace", ["", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"])
async def test_trace_headers(in_memory: Subscribed, trace: str) -> None:
    """The publisher's trace reaches envelope and handler; without one they are empty and zero."""
    headers = [*JSON, ("traceparent", trace), ("tracestate", "a=b")] if trace else JSON
    await in_memory.send("POST", "/v1.0/publish/pubsub/orders", b"7", headers)
    (call,) = await in_memory.arrived("/orders")
    envelope = call.json()
    assert (envelope["traceparent"], envelope["traceid"]) == (trace, trace)
    assert envelope["tracestate"] == ("a=b" if trace else "")
    assert call.header("traceparent") == (trace or f"00-{'0' * 32}-{'0' * 16}-00")


@pytest.mark.row("I-PS")
async def test_bulk_of_raw_payloads(tmp_path: Path) -> None:
    """In bulk a raw payload is a base64 string with its own content type, and of no trace."""
    raw = {**BULK, "metadata": {"rawPayload": "true"}}
    async with subscribed(tmp_path, [raw], DURABLE) as found:
        await found.send("POST", "/v1.0/publish/pubsub/bulk?metadata.rawPayload=true", b"\x00\xff")
        (call,) = (await found.arrived("/bulk"))[:1]
    (entry,) = call.json()["entries"]
    assert base64.b64decode(entry["event"]) == b"\x00\xff"
    assert entry["contentType"] == "application/octet-stream"
    assert call.header("traceparent") is None


@pytest.mark.row("I-PS")
async def test_bulk_publish_conversions(durable: Subscribed) -> None:
    """Each entry is converted by its own content type; one that does not fit fails the request."""
    entries = [
        {"entryId": "1", "event": "AP8=", "contentType": "application/octet-stream"},
        {"entryId": "2", "event": "hi", "contentType": "text/plain"},
        {"entryId": "3", "event": {"a": 1}, "contentType": "application/json"},
    ]
    target = "/v1.0/publish/bulk/pubsub/orders"
    assert (await durable.send("POST", target, msgspec.json.encode(entries))).status == 204
    calls = await durable.arrived("/orders", 3)
    found = [call.json().get("data", call.json().get("data_base64")) for call in calls]
    assert sorted(map(str, found)) == sorted(["AP8=", "hi", "{'a': 1}"])
    for bad in (
        {"entryId": "1", "event": {"a": 1}, "contentType": "text/plain"},
        {"entryId": "1", "event": "%%", "contentType": "application/octet-stream"},
        {"entryId": "1", "event": 1, "contentType": "x/unknown"},
        {"event": 1, "contentType": "application/json"},
    ):
        answer = await durable.send("POST", target, msgspec.json.encode([bad]))
        error = msgspec.json.decode(answer.body)
        assert (answer.status, error["errorCode"]) == (400, "ERR_PUBSUB_EVENTS_SER"), bad


UNREADABLE = {
    "not JSON": ("orders", b"not json"),
    "not an object": ("orders", b"[1]"),
    "rule that fails": ("routed", b'{"specversion":"1.0","type":"t","data":{}}'),
    "in bulk": ("bulk", b"not json"),
}


@pytest.mark.parametrize("components", [PUBSUB, DURABLE], ids=["in-memory", "durable"])
@pytest.mark.parametrize("case", UNREADABLE)
async def test_unreadable_messages(tmp_path: Path, components: Components, case: str) -> None:
    """What cannot be read or routed goes to the dead letter topic at once, past the app."""
    raw_dead = {**DEAD, "metadata": {"rawPayload": "true"}}
    items: list[dict[str, Any]] = [dict(item) for item in (ORDERS, ROUTED, BULK)]
    subscriptions = [{**item, "deadLetterTopic": "dead"} for item in items]
    topic, body = UNREADABLE[case]
    async with subscribed(tmp_path, [*subscriptions, raw_dead], components) as found:
        started = found.sidecar.clock.now()
        target = f"/v1.0/publish/pubsub/{topic}?metadata.rawPayload=true"
        await found.send("POST", target, body)
        (call,) = await found.arrived("/dead")
        assert base64.b64decode(call.json()["data_base64"]) == body
        assert found.sidecar.clock.now() - started < 1
        assert {call.path for call in found.app.calls if call.method == "POST"} == {"/dead"}


@pytest.mark.parametrize("keys", [1, 3])
async def test_a_batch_does_not_wait_for_what_it_holds_up(tmp_path: Path, keys: int) -> None:
    """Events of one key come in order, one in each batch, and none costs a batch's waiting time."""
    total = 12
    async with subscribed(tmp_path, [BULK_BY_KEY], DURABLE) as found:
        found.app.computed["/bulk"] = lambda call: Answer.of(
            {
                "statuses": [
                    {"entryId": entry["entryId"], "status": "SUCCESS"}
                    for entry in call.json()["entries"]
                ]
            }
        )
        start = found.sidecar.clock.now()
        for number in range(total):
            target = f"/v1.0/publish/pubsub/bulk?metadata.partitionKey={number % keys}"
            await found.send("POST", target, str(number).encode())
        await found.sidecar.until(lambda: sum(map(len, batches(found))) == total)
        assert found.sidecar.clock.now() - start < 2 * BATCH_SECONDS
        arrived = [number for batch in batches(found) for number in batch]
    for key in range(keys):
        assert [number for number in arrived if number % keys == key] == list(
            range(key, total, keys)
        )


def batches(found: Subscribed) -> list[list[int]]:
    """Return the data of each batch that the app got."""
    calls = found.app.to("/bulk")
    return [[entry["event"]["data"] for entry in call.json()["entries"]] for call in calls]


BATCH_SECONDS = 5
BULK_BY_KEY = {
    "topic": "bulk",
    "route": "/bulk",
    "bulkSubscribe": {
        "enabled": True,
        "maxMessagesCount": 100,
        "maxAwaitDurationMs": BATCH_SECONDS * 1000,
    },
}
