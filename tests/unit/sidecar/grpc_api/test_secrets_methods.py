"""Secrets over gRPC."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from daprflow.protocol import messages as m
from daprflow.protocol.configuration_file import ConfigurationResource, SecretScope
from tests.helpers.grpc_calls import refusal
from tests.helpers.grpc_sidecar import GrpcSidecar, grpc_sidecar
from tests.helpers.sidecar import resources


@pytest.fixture
async def sidecar(tmp_path: Path) -> AsyncIterator[GrpcSidecar]:
    """A sidecar with a store, of which one secret is kept from the app."""
    file = tmp_path / "secrets.json"
    file.write_text('{"db":{"user":"u","password":"p"},"token":"t0"}', encoding="utf-8")
    file.chmod(0o600)
    scopes = (SecretScope("vault", denied=("db:user",)),)
    files = replace(
        resources({"vault": ("secretstores.local.file", {"secretsFile": str(file)})}),
        configuration=ConfigurationResource(secret_scopes=scopes),
    )
    async with grpc_sidecar(tmp_path, {}, files=files) as running:
        yield running


async def test_a_secret_is_a_map(sidecar: GrpcSidecar) -> None:
    """One secret comes under its own name."""
    request = m.GetSecretRequest(store_name="vault", key="token")
    assert await sidecar.stub.GetSecret(request) == m.GetSecretResponse(data={"token": "t0"})


@pytest.mark.row("S-31")
async def test_all_secrets_but_those_kept_back(sidecar: GrpcSidecar) -> None:
    """A bulk call leaves out what a scope denies."""
    answer = await sidecar.stub.GetBulkSecret(m.GetBulkSecretRequest(store_name="vault"))
    assert {name: dict(each.secrets) for name, each in answer.data.items()} == {
        "db:password": {"db:password": "p"},
        "token": {"token": "t0"},
    }


@pytest.mark.parametrize(
    ("store", "key", "code", "text"),
    [
        ("none", "a", "INVALID_ARGUMENT", "failed finding secret store with key none"),
        (
            "vault",
            "db:user",
            "PERMISSION_DENIED",
            'access denied by policy to get "db:user" from "vault"',
        ),
        (
            "vault",
            "x",
            "INTERNAL",
            "failed getting secret with key x from secret store vault: secret x not found",
        ),
    ],
)
async def test_errors_have_no_details(
    sidecar: GrpcSidecar, store: str, key: str, code: str, text: str
) -> None:
    """What goes wrong with secrets is told by code and text alone, as the real runtime does."""
    found = await refusal(sidecar.stub.GetSecret(m.GetSecretRequest(store_name=store, key=key)))
    assert (found.code, found.text, found.info) == (code, text, None)


async def test_without_any_store(tmp_path: Path) -> None:
    """Where no store is loaded that is a failed precondition."""
    async with grpc_sidecar(tmp_path, {}) as sidecar:
        found = await refusal(sidecar.stub.GetSecret(m.GetSecretRequest(store_name="a", key="b")))
    assert (found.code, found.text) == ("FAILED_PRECONDITION", "secret store is not configured")
