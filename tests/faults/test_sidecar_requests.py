"""Bad requests to the embedded sidecar: the documented status and one clear line, nothing lost."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from daprflow.protocol.http import HttpRequest, HttpResponse
from tests.helpers.sidecar import InProcessSidecar, in_process_sidecar

COMPONENTS = {
    "store": ("state.in-memory", {}),
    "pubsub": ("pubsub.in-memory", {}),
    "files": ("bindings.localstorage", {"rootPath": "files"}),
}

STATE = "/v1.0/state/store"
TRANSACTION = "/v1.0/state/store/transaction"
BULK_GET = "/v1.0/state/store/bulk"
BULK_PUBLISH = "/v1.0/publish/bulk/pubsub/t"
BINDING = "/v1.0/bindings/files"

MALFORMED = {
    "not JSON": b"{not json",
    "cut off": b'[{"key": "a", "value": ',
    "empty": b"",
    "invalid UTF-8": b'[{"key": "\xff\xfe", "value": 1}]',
    "lone surrogate escape": b'[{"key": "\\ud800", "value": ]',
    "null byte": b"\x00",
    "two documents": b"[] []",
    "deep": b"[" * 100_000,
    "wrong shape": b'"text"',
    "byte order mark": b"\xef\xbb\xbf[]x",
}


@pytest.fixture
async def sidecar(tmp_path: Path) -> AsyncIterator[InProcessSidecar]:
    """A sidecar without an app."""
    async with in_process_sidecar(tmp_path, COMPONENTS) as found:
        yield found


async def send(
    sidecar: InProcessSidecar, method: str, target: str, body: bytes = b"", content_type: str = ""
) -> HttpResponse:
    """Send one request."""
    headers = (("content-type", content_type),) if content_type else ()
    return await sidecar.exchange.send(HttpRequest(method, target, headers, body))


def assert_one_clear_line(answer: HttpResponse, status: int, code: str) -> None:
    """The answer is Dapr's error shape with a message of one line."""
    error = msgspec.json.decode(answer.body)
    assert (answer.status, error["errorCode"]) == (status, code)
    assert error["message"]
    assert "\n" not in error["message"]
    assert "Traceback" not in error["message"]


@pytest.mark.row("I-ST")
@pytest.mark.parametrize("case", MALFORMED)
@pytest.mark.parametrize(
    ("target", "code"),
    [
        (STATE, "ERR_MALFORMED_REQUEST"),
        (TRANSACTION, "ERR_MALFORMED_REQUEST"),
        (BULK_GET, "ERR_MALFORMED_REQUEST"),
        (BULK_PUBLISH, "ERR_PUBSUB_EVENTS_SER"),
        (BINDING, "ERR_MALFORMED_REQUEST"),
    ],
)
async def test_malformed_bodies(
    sidecar: InProcessSidecar, target: str, code: str, case: str
) -> None:
    """A body that cannot be read is a 400 in Dapr's shape, and the next call works."""
    answer = await send(sidecar, "POST", target, MALFORMED[case], "application/json")
    if answer.status != 204:  # Go reads invalid UTF-8 in a string as U+FFFD
        assert_one_clear_line(answer, 400, code)
    good = await send(sidecar, "POST", STATE, b'[{"key": "good", "value": 1}]')
    assert good.status == 204


@pytest.mark.parametrize(
    ("body", "stored"),
    [
        (b'[{"key":"a","key":"b","value":1,"value":2}]', b"2"),
        (b'[{"key":"b","value":{"x":1,"x":2}}]', b'{"x":2}'),
        (b'[{"key":"b","unknown":[1,{}],"value":1}]', b"1"),
        (b'[{"key":"b"}]', b"null"),
        (b' [ { "key" : "b" , "value" : { "z" : 1.0 , "a" : "<&>" } } ] ', None),
    ],
)
async def test_odd_but_good_bodies(
    sidecar: InProcessSidecar, body: bytes, stored: bytes | None
) -> None:
    """Of duplicate keys the last wins, unknown ones are passed over, a missing value is null."""
    answer = await send(sidecar, "POST", STATE, body)
    assert answer.status == 204, answer.body
    found = await send(sidecar, "GET", f"{STATE}/b")
    assert found.body == (stored or b'{"a":"\\u003c\\u0026\\u003e","z":1}')


@pytest.mark.row("I-ST")
@pytest.mark.parametrize("content_type", ["", "text/plain", "application/xml", "x", "a/b;c=\xff"])
async def test_unknown_content_types(sidecar: InProcessSidecar, content_type: str) -> None:
    """The state API reads its body as JSON whatever the content type says."""
    answer = await send(sidecar, "POST", STATE, b'[{"key":"k","value":1}]', content_type)
    assert answer.status == 204
    answer = await send(sidecar, "POST", "/v1.0/publish/pubsub/t", b"\xff\x00", content_type)
    assert answer.status == 204


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/"),
        ("GET", "/v1.0"),
        ("GET", "/v1.0/nothing"),
        ("GET", "/v2.0/state/store/k"),
        ("DELETE", "/v1.0/publish/pubsub/t"),
        ("PATCH", "/v1.0/state/store"),
        ("POST", "/v1.0/secrets/s/k"),
        ("GET", "/v1.0/state/store/k/more"),
        ("GET", "/../../etc/passwd"),
        ("BREW", "/v1.0/healthz"),
    ],
)
async def test_unknown_routes(sidecar: InProcessSidecar, method: str, target: str) -> None:
    """What no route owns is service invocation without a target."""
    assert_one_clear_line(await send(sidecar, method, target), 404, "ERR_DIRECT_INVOKE")


@pytest.mark.parametrize("target", ["/v1.0/state/store/%", "/v1.0/state/store/%zz", "/%"])
async def test_bad_escapes(sidecar: InProcessSidecar, target: str) -> None:
    """A percent sign that stands alone in a path is a 400 or belongs to nobody; never a 500."""
    answer = await send(sidecar, "GET", target)
    assert answer.status in {400, 404}


async def test_large_body(sidecar: InProcessSidecar) -> None:
    """A body over the limit is refused with its own error; one at the limit is taken."""
    size = sidecar.runtime.options.max_body_size
    head, tail = b'[{"key":"k","value":"', b'"}]'
    fits = head + b"x" * (size - len(head) - len(tail)) + tail
    assert (await send(sidecar, "POST", STATE, fits)).status == 204
    answer = await send(sidecar, "POST", STATE, fits + b" ")
    assert_one_clear_line(answer, 400, "ERR_MALFORMED_REQUEST")
    assert str(size) in msgspec.json.decode(answer.body)["message"]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("?metadata.rawPayload=maybe", "ERR_PUBSUB_REQUEST_METADATA"),
    ],
)
async def test_publish_metadata(sidecar: InProcessSidecar, query: str, code: str) -> None:
    """Request metadata of the wrong type is a 400."""
    answer = await send(sidecar, "POST", f"/v1.0/publish/pubsub/t{query}", b"{}")
    assert_one_clear_line(answer, 400, code)


@pytest.mark.row("I-ST")
@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (b'[{"value": 1}]', 400, '"key" is a required field'),
        (b'[{"key": "a||b"}]', 400, "can't contain '||'"),
        (b'[{"key": "k", "options": {"consistency": "maybe"}}]', 500, "maybe"),
        (b'[{"key": "k", "metadata": {"ttlInSeconds": "x"}}]', 500, "x"),
    ],
)
async def test_bad_state_items(
    sidecar: InProcessSidecar, body: bytes, status: int, text: str
) -> None:
    """An item that cannot be saved is refused with what is wrong, and nothing is stored."""
    answer = await send(sidecar, "POST", STATE, body)
    assert answer.status == status
    assert text in msgspec.json.decode(answer.body)["message"]
    assert (await send(sidecar, "GET", f"{STATE}/k")).status == 204
