"""The errors of the HTTP API: status, code, message, and the details of the rich ones."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from daprflow.protocol.http import HttpRequest
from tests.helpers.sidecar import Components, InProcessSidecar, in_process_sidecar

COMPONENTS: Components = {
    "store": ("state.in-memory", {}),
    "pubsub": (
        "pubsub.in-memory",
        {"publishingScopes": "app1=open", "protectedTopics": "secret", "allowedTopics": "open,t"},
    ),
    "secrets": ("secretstores.local.file", {"secretsFile": "secrets.json"}),
    "files": ("bindings.localstorage", {"rootPath": "files"}),
    "tick": ("bindings.cron", {"schedule": "@every 1h"}),
}

PLAIN: dict[str, tuple[str, bytes, int, str, str]] = {
    "no app id": (
        "GET /v1.0/nonsense",
        b"",
        404,
        "ERR_DIRECT_INVOKE",
        "failed getting app id either from the URL path or the header dapr-app-id",
    ),
    "unknown app": (
        "GET /v1.0/invoke/ghost/method/x",
        b"",
        500,
        "ERR_DIRECT_INVOKE",
        "failed to invoke, id: ghost, err: couldn't find service: ghost",
    ),
    "other sidecar's health": (
        "GET /v1.0/healthz?appid=zzz",
        b"",
        500,
        "ERR_HEALTH_APPID_NOT_MATCH",
        "dapr app-id does not match",
    ),
    "unknown secret store": (
        "GET /v1.0/secrets/zzz/k",
        b"",
        401,
        "ERR_SECRET_STORE_NOT_FOUND",
        "failed finding secret store with key zzz",
    ),
    "unknown secret": (
        "GET /v1.0/secrets/secrets/none",
        b"",
        500,
        "ERR_SECRET_GET",
        "failed getting secret with key none from secret store secrets: secret none not found",
    ),
    "unknown binding": (
        "POST /v1.0/bindings/zzz",
        b'{"operation":"create"}',
        500,
        "ERR_INVOKE_OUTPUT_BINDING",
        "error invoking output binding zzz: couldn't find output binding zzz",
    ),
    "input binding": (
        "POST /v1.0/bindings/tick",
        b'{"operation":"create"}',
        500,
        "ERR_INVOKE_OUTPUT_BINDING",
        "error invoking output binding tick: couldn't find output binding tick",
    ),
    "unknown operation": (
        "POST /v1.0/bindings/files",
        b'{"operation":"frob"}',
        500,
        "ERR_INVOKE_OUTPUT_BINDING",
        (
            "error invoking output binding files: binding files does not support operation frob."
            " supported operations:create get list delete"
        ),
    ),
    "no operation": (
        "POST /v1.0/bindings/files",
        b"{}",
        500,
        "ERR_INVOKE_OUTPUT_BINDING",
        "error invoking output binding files: operation field is missing from request",
    ),
    "operation in a transaction": (
        "POST /v1.0/state/store/transaction",
        b'{"operations":[{"operation":"frob","request":{"key":"k"}}]}',
        400,
        "ERR_NOT_SUPPORTED_STATE_OPERATION",
        "operation type frob not supported",
    ),
    "no key": (
        "POST /v1.0/state/store",
        b'[{"value":1}]',
        400,
        "ERR_MALFORMED_REQUEST",
        '"key" is a required field',
    ),
}

RICH: dict[str, tuple[str, bytes, int, str, str, str, set[str]]] = {
    "unknown store": (
        "GET /v1.0/state/zzz/k",
        b"",
        400,
        "ERR_STATE_STORE_NOT_FOUND",
        "state store zzz is not found",
        "DAPR_STATE_NOT_FOUND",
        {"ErrorInfo"},
    ),
    "key with bars": (
        "POST /v1.0/state/store",
        b'[{"key":"a||b"}]',
        400,
        "ERR_MALFORMED_REQUEST",
        "api error: code = InvalidArgument desc = input key/keyPrefix 'a||b' can't contain '||'",
        "DAPR_STATE_ILLEGAL_KEY",
        {"BadRequest", "ResourceInfo", "ErrorInfo"},
    ),
    "query": (
        "POST /v1.0-alpha1/state/store/query",
        b"{}",
        500,
        "ERR_STATE_STORE_NOT_SUPPORTED",
        "state store does not support querying",
        "DAPR_STATE_QUERYING_NOT_SUPPORTED",
        {"ResourceInfo", "ErrorInfo"},
    ),
    "unknown pubsub": (
        "POST /v1.0/publish/zzz/t",
        b"{}",
        404,
        "ERR_PUBSUB_NOT_FOUND",
        "pubsub zzz is not found",
        "DAPR_PUBSUB_NOT_FOUND",
        {"ErrorInfo"},
    ),
    "forbidden topic": (
        "POST /v1.0/publish/pubsub/t",
        b"{}",
        403,
        "ERR_PUBSUB_FORBIDDEN",
        "topic t is not allowed for app id app1",
        "DAPR_PUBSUB_FORBIDDEN",
        {"ResourceInfo", "ErrorInfo"},
    ),
    "envelope that is no JSON": (
        "POST /v1.0/publish/pubsub/open",
        b"{zz",
        500,
        "ERR_PUBSUB_CLOUD_EVENTS_SER",
        "cannot create cloudevent",
        "DAPR_PUBSUB_CLOUD_EVENT_CREATION",
        {"ResourceInfo", "ErrorInfo"},
    ),
    "duplicate entry ids": (
        "POST /v1.0/publish/bulk/pubsub/open",
        (
            b'[{"entryId":"a","event":1,"contentType":"application/json"},'
            b'{"entryId":"a","event":1,"contentType":"application/json"}]'
        ),
        400,
        "ERR_PUBSUB_EVENTS_SER",
        (
            "error marshaling events to bytes for topic open pubsub pubsub. error:"
            " entryId is duplicated or not present for entry"
        ),
        "DAPR_PUBSUB_MARSHAL_EVENTS",
        {"ResourceInfo", "ErrorInfo"},
    ),
}

NOT_CONFIGURED = {
    "GET /v1.0/state/s/k": (
        500,
        "ERR_STATE_STORE_NOT_CONFIGURED",
        "state store s is not configured",
    ),
    "POST /v1.0/publish/p/t": (404, "ERR_PUBSUB_NOT_FOUND", "pubsub p is not found"),
    "GET /v1.0/secrets/s/k": (
        500,
        "ERR_SECRET_STORES_NOT_CONFIGURED",
        "secret store is not configured",
    ),
}


@pytest.fixture
async def sidecar(tmp_path: Path) -> AsyncIterator[InProcessSidecar]:
    """A sidecar with a component of each kind, and no app."""
    (tmp_path / "secrets.json").write_text('{"token":"t0"}', encoding="utf-8")
    async with in_process_sidecar(tmp_path, COMPONENTS) as found:
        yield found


async def call(sidecar: InProcessSidecar, line: str, body: bytes, content_type: str = "") -> Any:
    """Send what a request line says; give status and decoded body."""
    method, target = line.split()
    kind = content_type or "application/json"
    request = HttpRequest(method, target, (("content-type", kind),), body)
    answer = await sidecar.exchange.send(request)
    assert answer.header("content-type") == "application/json"
    return answer.status, msgspec.json.decode(answer.body)


@pytest.mark.row("I-ST")
@pytest.mark.parametrize("case", PLAIN)
async def test_plain_errors(sidecar: InProcessSidecar, case: str) -> None:
    """A plain error is its code and its message, and nothing else."""
    line, body, status, code, message = PLAIN[case]
    found = await call(sidecar, line, body)
    assert found == (status, {"errorCode": code, "message": message})


@pytest.mark.row("I-PS", "I-ST")
@pytest.mark.parametrize("case", RICH)
async def test_rich_errors(sidecar: InProcessSidecar, case: str) -> None:
    """A rich error has details too, each with its type, and a reason of its own."""
    line, body, status, code, message, reason, kinds = RICH[case]
    content_type = "application/cloudevents+json" if case.startswith("envelope") else ""
    found_status, error = await call(sidecar, line, body, content_type)
    assert (found_status, error["errorCode"], error["message"]) == (status, code, message)
    details = {item["@type"].rpartition(".")[2]: item for item in error["details"]}
    assert set(details) == kinds
    assert details["ErrorInfo"]["reason"] == reason
    assert details["ErrorInfo"]["domain"] == "dapr.io"


@pytest.mark.row("I-ST")
@pytest.mark.parametrize("line", NOT_CONFIGURED)
async def test_errors_without_any_component(tmp_path: Path, line: str) -> None:
    """Where no component of a kind is there at all, the error says that."""
    async with in_process_sidecar(tmp_path, {}) as sidecar:
        status, error = await call(sidecar, line, b"{}")
    assert (status, error["errorCode"], error["message"]) == NOT_CONFIGURED[line]


async def test_errors_are_escaped_as_go_does(sidecar: InProcessSidecar) -> None:
    """Characters that matter in HTML are escaped in errors, as Go's encoder does."""
    answer = await sidecar.exchange.send(HttpRequest("GET", "/v1.0/secrets/a%3Cb%3E%26/k"))
    assert b"a\\u003cb\\u003e\\u0026" in answer.body


async def test_etag_conflicts(sidecar: InProcessSidecar) -> None:
    """A conflict is 409 for a save and a delete, and 500 in a transaction."""
    await sidecar.exchange.send(HttpRequest("POST", "/v1.0/state/store", (), b'[{"key":"k"}]'))
    save = await call(sidecar, "POST /v1.0/state/store", b'[{"key":"k","etag":"x"}]')
    operations = b'{"operations":[{"operation":"upsert","request":{"key":"k","etag":"x"}}]}'
    transaction = await call(sidecar, "POST /v1.0/state/store/transaction", operations)
    request = HttpRequest("DELETE", "/v1.0/state/store/k", (("if-match", "x"),))
    delete = await sidecar.exchange.send(request)
    assert (save[0], save[1]["errorCode"]) == (409, "ERR_STATE_SAVE")
    assert (transaction[0], transaction[1]["errorCode"]) == (500, "ERR_STATE_TRANSACTION")
    assert delete.status == 409
    for error in (save[1], transaction[1], msgspec.json.decode(delete.body)):
        assert "possible etag mismatch. error from state store" in error["message"]
