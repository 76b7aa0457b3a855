"""Secrets and output bindings."""

import msgspec
import pytest
from starlette.responses import Response

from daprflow.client import Client
from daprflow.errors import NotFound, SecretNotFound, SidecarError
from tests.helpers.small_sidecar import SmallSidecar, error


def answer(**pairs: str) -> Response:
    """Return a secret store's answer."""
    return Response(msgspec.json.encode(pairs))


async def test_a_secret_is_text(client: Client, sidecar: SmallSidecar) -> None:
    """The pair of the asked name is the secret."""
    sidecar.answers["/v1.0/secrets/vault/dsn"] = answer(dsn="x", other="y")

    assert await client.secret("vault", "dsn") == "x"


async def test_a_secrets_name_is_escaped(client: Client, sidecar: SmallSidecar) -> None:
    """Nested names hold separators."""
    sidecar.answers["/v1.0/secrets/vault/db%2Fpassword%3A1"] = answer(**{"db/password:1": "x"})

    assert await client.secret("vault", "db/password:1") == "x"


async def test_the_only_pair_is_meant(client: Client, sidecar: SmallSidecar) -> None:
    """Kubernetes keeps pairs below a name; a single one is the secret."""
    sidecar.answers["/v1.0/secrets/vault/db"] = answer(password="x")

    assert await client.secret("vault", "db") == "x"


async def test_several_pairs_are_named_but_not_shown(client: Client, sidecar: SmallSidecar) -> None:
    """The error lists the names and none of the values."""
    sidecar.answers["/v1.0/secrets/vault/db"] = answer(user="private1", password="private2")

    with pytest.raises(SidecarError, match="'password', 'user'") as caught:
        await client.secret("vault", "db")

    assert "private" not in str(caught.value)


async def test_a_missing_secret_is_not_found(client: Client, sidecar: SmallSidecar) -> None:
    """The runtime's 500 for a missing secret becomes SecretNotFound."""
    sidecar.answers["/v1.0/secrets/vault/none"] = error(
        500,
        "ERR_SECRET_GET",
        "failed getting secret with key none from secret store vault: secret none not found",
    )

    with pytest.raises(SecretNotFound, match="secret 'none' is not in secret store 'vault'"):
        await client.secret("vault", "none")


async def test_an_empty_secret_is_not_found(client: Client, sidecar: SmallSidecar) -> None:
    """A secret without pairs is none."""
    sidecar.answers["/v1.0/secrets/vault/none"] = answer()

    with pytest.raises(SecretNotFound):
        await client.secret("vault", "none")


async def test_a_store_that_fails_is_another_error(client: Client, sidecar: SmallSidecar) -> None:
    """A vault that is down does not look like a missing secret."""
    sidecar.answers["/v1.0/secrets/vault/a"] = error(500, "ERR_SECRET_GET", "connection refused")

    with pytest.raises(SidecarError) as caught:
        await client.secret("vault", "a")

    assert not isinstance(caught.value, NotFound)


async def test_an_unknown_secret_store_is_not_found(client: Client, sidecar: SmallSidecar) -> None:
    """The runtime says 401 for an unknown store; the code tells what it means."""
    sidecar.answers["/v1.0/secrets/v/a"] = error(401, "ERR_SECRET_STORE_NOT_FOUND", "no v")

    with pytest.raises(NotFound) as caught:
        await client.secret("v", "a")

    assert not isinstance(caught.value, SecretNotFound)


async def test_a_binding_is_called(client: Client, sidecar: SmallSidecar) -> None:
    """Operation, data and metadata go in one JSON body; the answer is bytes."""
    sidecar.answers["/v1.0/bindings/files"] = Response(b"\x00")

    answer = await client.bind("files", "create", {"a": 1}, metadata={"fileName": "x"})

    assert answer == b"\x00"
    assert sidecar.requests == [
        (
            "POST",
            "/v1.0/bindings/files",
            b'{"operation":"create","data":{"a":1},"metadata":{"fileName":"x"}}',
        )
    ]


async def test_a_binding_needs_no_data(client: Client, sidecar: SmallSidecar) -> None:
    """No data is left out, and no answer is empty bytes."""
    assert await client.bind("a/b", "list") == b""
    assert sidecar.requests == [("POST", "/v1.0/bindings/a%2Fb", b'{"operation":"list"}')]


async def test_a_binding_that_fails_is_an_error(client: Client, sidecar: SmallSidecar) -> None:
    """The runtime's text says what is wrong."""
    sidecar.answers["/v1.0/bindings/x"] = error(
        500,
        "ERR_INVOKE_OUTPUT_BINDING",
        "error invoking output binding x: couldn't find output binding x",
    )

    with pytest.raises(SidecarError, match="couldn't find output binding x"):
        await client.bind("x", "create")
