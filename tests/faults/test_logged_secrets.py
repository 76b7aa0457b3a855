"""What the embedded sidecar logs: never a payload, a secret or a token."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from daprflow.protocol.resources import ComponentResource, MetadataItem, SecretKeyRef
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.components.base import ComponentError
from daprflow.sidecar.engine import Engine
from daprflow.sidecar.options import RuntimeOptions
from daprflow.sidecar.resources import Resources
from daprflow.sidecar.runtime import Runtime
from tests.helpers.recording import Answer, Call
from tests.helpers.sidecar import Components
from tests.helpers.subscribers import CLOUDEVENT, DURABLE, JSON, subscribed

SECRET = "canary-s3cr3t-p4yl04d"

COMPONENTS: Components = {
    **DURABLE,
    "store": ("state.sqlite", {"connectionString": ":memory:"}),
    "vault": ("secretstores.local.file", {"secretsFile": "secrets.json"}),
    "files": ("bindings.localstorage", {"rootPath": "files"}),
}
SUBSCRIPTIONS: list[Mapping[str, Any]] = [
    {"topic": "t", "route": "/t", "deadLetterTopic": "dead"},
    {"topic": "dead", "route": "/dead"},
    {
        "topic": "routed",
        "routes": {"rules": [{"match": "event.data.none > 1", "path": "/t"}]},
        "deadLetterTopic": "dead",
    },
]


def broken(call: Call) -> Answer:
    """Break off, with the payload in the reason."""
    raise ValueError(SECRET)


@pytest.mark.row("S-03")
async def test_calls_and_deliveries(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Failing deliveries and refused calls leave neither payloads nor tokens in the log."""
    (tmp_path / "secrets.json").write_text(f'{{"key": "{SECRET}"}}', encoding="utf-8")
    body = f'{{"data": "{SECRET}"}}'.encode()
    options = RuntimeOptions("app1", app_port=1, app_token=SECRET)
    with caplog.at_level(logging.DEBUG):
        async with subscribed(tmp_path, SUBSCRIPTIONS, COMPONENTS, options=options) as found:
            for answer in (Answer(500, body), Answer.of({"status": "DROP"}), Answer(302)):
                found.app.answers["/t"] = answer
                await found.publish("t", SECRET)
                await found.publish("routed", SECRET)
                await found.send("POST", "/v1.0/publish/pubsub/t", body, CLOUDEVENT)
                raw = "/v1.0/publish/pubsub/t?metadata.rawPayload=true"
                await found.send("POST", raw, SECRET.encode())
            await found.arrived("/dead", 6)
            for target in ("state/store", "bindings/files", "publish/bulk/pubsub/t", "state/none"):
                await found.send("POST", f"/v1.0/{target}", body, JSON)
            assert (await found.send("GET", "/v1.0/secrets/vault/key")).status == 200
            assert (await found.send("GET", "/v1.0/secrets/vault/bulk")).status == 200
            wrong = [("dapr-api-token", SECRET), ("origin", "http://evil.example")]
            await found.send("POST", "/v1.0/shutdown", b"", wrong)
    assert caplog.records
    assert SECRET not in caplog.text


@pytest.mark.row("S-03")
@pytest.mark.parametrize("kind", ["state.sqlite", "bindings.http", "bindings.cron"])
async def test_components_that_fail_with_a_secret(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A component that refuses a value from a secret store does not tell the value."""
    (tmp_path / "secrets.json").write_text(f'{{"key": "{SECRET}"}}', encoding="utf-8")
    vault = ComponentResource(
        "vault", "secretstores.local.file", metadata=(MetadataItem("secretsFile", "secrets.json"),)
    )
    secret = SecretKeyRef("key")
    names = ("tableName", "schedule", "url", "responseTimeout", "busyTimeout", "keyPrefix")
    metadata = tuple(MetadataItem(name, secret_key_ref=secret) for name in names)
    bad = ComponentResource("bad", kind, metadata=metadata, secret_store="vault")
    engine = Engine(VirtualClock(), None, tmp_path)
    runtime = Runtime(engine, RuntimeOptions("app1"), Resources((vault, bad)), None)
    with caplog.at_level(logging.DEBUG), pytest.raises(ComponentError) as refused:
        await runtime.open()
    await engine.close()
    assert "'bad'" in str(refused.value)
    assert SECRET not in str(refused.value)
    assert SECRET not in caplog.text
