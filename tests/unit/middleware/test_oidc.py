"""Bearer tokens of an OpenID provider, against one that listens and rotates its keys."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from daprflow import AppDefinitionError, DaprFlow
from daprflow.middleware import OidcBearer, RequireScopes
from tests.helpers.app_calls import Answer, Caller, running
from tests.helpers.oidc import AUDIENCE, Provider, running_provider


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    """A provider of this test alone."""
    async with running_provider() as found:
        yield found


async def who(request: Request) -> JSONResponse:
    """Answer whose token it is."""
    return JSONResponse(request.state.claims["sub"])


def guarded(provider: Provider, **options: Any) -> Caller:
    """A Starlette app whose one route needs a token."""
    options = {"issuer": provider.issuer, "audience": AUDIENCE, **options}
    app = Starlette(routes=[Route("/who", who)], middleware=[Middleware(OidcBearer, **options)])
    return Caller(app)


async def ask(call: Caller, token: str) -> Answer:
    """Ask with a token."""
    return await call.get("/who", [("authorization", f"Bearer {token}")])


async def test_a_valid_token_passes_with_its_claims(provider: Provider) -> None:
    """The keys are read once, whatever comes."""
    call = guarded(provider)
    for _ in range(3):
        answer = await ask(call, provider.token())
        assert (answer.status, answer.json) == (200, "ann")
    assert provider.fetched == 1


async def test_no_token_is_a_challenge(provider: Provider) -> None:
    """401 with ``WWW-Authenticate``, as RFC 6750 has it, and without an error code."""
    call = guarded(provider)
    for headers in ([], [("authorization", "Basic x")], [("authorization", "Bearer ")]):
        answer = await call.get("/who", headers)
        assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"exp": -3600}, "the token has expired"),
        ({"exp": None}, "the token lacks a claim"),
        ({"nbf": 3600}, "the token is not valid yet"),
        ({"aud": "other"}, "the token is for somebody else"),
        ({"iss": "https://other.example"}, "the token is of another issuer"),
    ],
    ids=str,
)
async def test_a_token_that_is_not_valid_is_refused(
    provider: Provider, claims: dict[str, Any], said: str
) -> None:
    """Each claim is checked; the answer says which, and nothing of the token."""
    given: dict[str, Any] = {
        name: time.time() + value if isinstance(value, int) else value
        for name, value in claims.items()
    }
    answer = await ask(guarded(provider), provider.token(**given))
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == (
        f'Bearer error="invalid_token", error_description="{said}"'
    )


async def test_leeway_bears_clocks_that_differ(provider: Provider) -> None:
    """A token that has just expired passes within it."""
    token = provider.token(exp=time.time() - 5)
    assert (await ask(guarded(provider, leeway=30), token)).status == 200
    assert (await ask(guarded(provider, leeway=0), token)).status == 401


async def test_algorithms_that_prove_nothing_are_refused(provider: Provider) -> None:
    """Neither "none" nor HMAC with the public key as its secret."""
    call = guarded(provider)
    public = provider.key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    forged = [
        provider.token(algorithm="none", key=""),
        provider.forged(public),
        provider.token(algorithm="RS512"),  # a good one, which is not among the allowed
        provider.token(key=rsa.generate_private_key(65537, 2048)),
        "x.y.z",
        "a" * 20_000,
    ]
    for token in forged:
        answer = await ask(call, token)
        assert answer.status == 401


@pytest.mark.parametrize("algorithm", ["none", "HS256", "rs256", ""])
def test_such_algorithms_cannot_be_allowed(algorithm: str) -> None:
    """It is a mistake of the definition, found when the app freezes."""
    options: Any = {
        "issuer": "https://id.example",
        "audience": "shop",
        "algorithms": [algorithm],
    }
    app = DaprFlow("shop", middleware=[Middleware(OidcBearer, **options)])
    with pytest.raises(AppDefinitionError, match="keys are public here"):
        app.freeze()


@pytest.mark.parametrize(
    "options",
    [
        {"issuer": "http://id.example"},
        {"issuer": ""},
        {"audience": ""},
        {"jwks_uri": "http://id.example/keys"},
        {"scopes": "orders"},
    ],
    ids=str,
)
def test_what_would_let_strangers_in_is_refused(options: dict[str, Any]) -> None:
    """Plain http to another machine, no audience, scopes that are one text."""
    given: dict[str, Any] = {"issuer": "https://id.example", "audience": "shop", **options}
    with pytest.raises(ValueError, match=r"."):
        OidcBearer(Starlette(), **given)


async def test_an_unknown_key_has_the_keys_read_again(provider: Provider) -> None:
    """After a rotation the next token passes, and tokens of the former key do not."""
    call = guarded(provider, refetch_after=0)
    former = provider.token()
    assert (await ask(call, former)).status == 200
    provider.rotate()
    assert (await ask(call, provider.token())).status == 200
    assert (await ask(call, former)).status == 401


async def test_unknown_keys_cannot_be_used_to_flood_the_provider(provider: Provider) -> None:
    """However many tokens name unknown keys, they are read again once in a while only."""
    call = guarded(provider, refetch_after=60)
    assert (await ask(call, provider.token())).status == 200
    for _ in range(5):
        provider.rotate()
        assert (await ask(call, provider.token())).status == 401
    assert provider.fetched == 1


async def test_many_at_once_read_the_keys_once(provider: Provider) -> None:
    """One reads, the others wait for it."""
    call, token = guarded(provider), provider.token()
    answers = await asyncio.gather(*(ask(call, token) for _ in range(20)))
    assert {each.status for each in answers} == {200}
    assert provider.fetched == 1


async def test_known_keys_hold_while_the_provider_is_away(provider: Provider) -> None:
    """Old as they are; without any, the answer is 503."""
    call = guarded(provider, jwks_max_age=0, refetch_after=0)
    token = provider.token()
    assert (await ask(call, token)).status == 200
    provider.down = True
    assert (await ask(call, token)).status == 200
    answer = await ask(guarded(provider), token)
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")


async def test_a_discovery_document_of_another_issuer_is_not_believed(provider: Provider) -> None:
    """Its keys are not taken."""
    wrong = provider.issuer.replace("127.0.0.1", "localhost")
    answer = await ask(guarded(provider, issuer=wrong), provider.token(iss=wrong))
    assert answer.status == 503


async def test_scopes_are_needed_all_of_them(provider: Provider) -> None:
    """403 names those; both spellings of the claim count."""
    call = guarded(provider, scopes=["orders:read", "orders:write"])
    answer = await ask(call, provider.token(scope="orders:read"))
    assert answer.status == 403
    assert answer.headers["www-authenticate"] == (
        'Bearer error="insufficient_scope", scope="orders:read orders:write"'
    )
    token = provider.token(scope="orders:read orders:write x")
    assert (await ask(call, token)).status == 200
    token = provider.token(scp=["orders:read", "orders:write"])
    assert (await ask(call, token)).status == 200


async def test_a_handler_may_need_more_than_its_app(provider: Provider) -> None:
    """Events pass without a token; a method needs one, and another one a scope."""
    app = DaprFlow("shop")
    bearer = Middleware(OidcBearer, issuer=provider.issuer, audience=AUDIENCE)

    @app.topic("pubsub", "orders")
    async def on_order(data: bytes) -> None: ...

    @app.invoke(middleware=[bearer])
    async def mine(*, request: Request) -> str:
        return str(request.state.claims["sub"])

    @app.invoke(middleware=[bearer, Middleware(RequireScopes, "admin")])
    async def all_of_them() -> str:
        return "all"

    async with running(app) as call:
        assert (await call.deliver("x")).status == 200
        assert (await call.post("/mine")).status == 401
        given = [("authorization", f"Bearer {provider.token()}")]
        answer = await call.post("/mine", headers=given)
        assert (answer.status, answer.body) == (200, b"ann")
        assert (await call.post("/all_of_them", headers=given)).status == 403
        given = [("authorization", f"Bearer {provider.token(scope='admin')}")]
        assert (await call.post("/all_of_them", headers=given)).status == 200
