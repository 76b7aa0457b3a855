"""Secrets and output bindings."""

import pickle

import msgspec
import pytest
from starlette.responses import Response

from daprflow.client import Client
from daprflow.client.bindings import BindingAnswer
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


async def test_no_store_at_all_is_not_found(client: Client, sidecar: SmallSidecar) -> None:
    """Where no component of a building block is loaded the runtime's code is another one."""
    sidecar.answers["/v1.0/secrets/vault/dsn"] = error(
        500, "ERR_SECRET_STORES_NOT_CONFIGURED", "secret store is not configured"
    )

    with pytest.raises(NotFound) as caught:
        await client.secret("vault", "dsn")

    assert not isinstance(caught.value, SecretNotFound)
    assert "declare a component of that name" in caught.value.hint


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

    with pytest.raises(NotFound, match="couldn't find output binding x"):
        await client.bind("x", "create")


async def test_a_bindings_answer_can_be_typed(client: Client, sidecar: SmallSidecar) -> None:
    """With ``returns`` the answer is decoded, and its metadata is there (F25)."""
    headers = {"metadata.statuscode": "200", "content-type": "application/json"}
    sidecar.answers["/v1.0/bindings/api"] = Response(b'{"a":1}', headers=headers)

    typed = await client.bind("api", "get", returns=dict[str, int])
    text = await client.bind("api", "get", returns=str)

    assert typed == BindingAnswer({"a": 1}, {"statuscode": "200"})
    assert text.data == '{"a":1}'
    with pytest.raises(SidecarError, match="binding 'api' is not 'int'"):
        await client.bind("api", "get", returns=int)


async def test_an_unknown_operation_names_those_there_are(
    client: Client, sidecar: SmallSidecar
) -> None:
    """The runtime lists them, and so does the hint."""
    sidecar.answers["/v1.0/bindings/x"] = error(
        500,
        "ERR_INVOKE_OUTPUT_BINDING",
        "error invoking output binding x: binding x does not support operation make. "
        "supported operations:create get",
    )

    with pytest.raises(SidecarError) as caught:
        await client.bind("x", "make")

    assert caught.value.hint == "ask for one of 'create', 'get'"


async def test_all_secrets_hide_their_values(client: Client, sidecar: SmallSidecar) -> None:
    """They read as a mapping, and neither text nor pickle gives a value away."""
    body = b'{"dsn":{"dsn":"s3cret"},"tls":{"crt":"c","key":"k"}}'
    sidecar.answers["/v1.0/secrets/vault/bulk"] = Response(body, media_type="application/json")

    found = await client.secrets("vault", metadata={"version": "1"})

    assert sidecar.requests[0][1] == "/v1.0/secrets/vault/bulk?metadata.version=1"
    assert (found["dsn"], list(found), len(found)) == ("s3cret", ["dsn", "tls"], 2)
    assert found.pairs("tls") == {"crt": "c", "key": "k"}
    assert repr(found) == f"{found}" == "Secrets('vault': dsn, tls)"
    assert "s3cret" not in "%s %r" % (found, [found])  # noqa: UP031 - as logging formats
    with pytest.raises(SidecarError, match="several pairs"):
        found["tls"]
    with pytest.raises(TypeError, match="not written anywhere"):
        pickle.dumps(found)


async def test_garbage_for_a_secret_is_an_error_without_it(
    client: Client, sidecar: SmallSidecar
) -> None:
    """What was answered instead may be a secret, and is not in the text."""
    sidecar.answers["/v1.0/secrets/vault/a"] = Response(b'{"a":["s3cret"]}')

    with pytest.raises(SidecarError, match="not a sidecar's") as caught:
        await client.secret("vault", "a")

    assert "s3cret" not in str(caught.value)
