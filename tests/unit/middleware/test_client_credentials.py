"""Tokens for calls to other apps: fetched, kept, renewed, never shown."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from daprflow import Client, DaprFlow, Endpoint, SidecarError
from daprflow.middleware import ClientCredentials, StoredSecret, TokenUnavailable
from daprflow.observability.redaction import Secret
from daprflow.protocol.http import HttpRequest, HttpResponse
from daprflow.testing import TestSidecar
from tests.helpers.app_calls import RecordingTransport
from tests.helpers.oidc import Provider, running_provider

price = Endpoint("pricing", "price", None, bytes)
other = Endpoint("other", "price", None, bytes)


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    """A provider of this test alone."""
    async with running_provider() as found:
        yield found


@pytest.fixture
async def opened() -> AsyncIterator[list[Client]]:
    """The clients of a test, which are closed after it."""
    clients: list[Client] = []
    yield clients
    for each in clients:
        await each.close()


class Sidecar(RecordingTransport):
    """A sidecar that answers every call, with 401 as often as it is told to."""

    refuses = 0

    async def send(self, request: HttpRequest, /) -> HttpResponse:
        """Keep ``request``."""
        if "/invoke/" not in request.target:
            return HttpResponse(204)
        self.requests.append(request)
        if self.refuses:
            self.refuses -= 1
            return HttpResponse(401, body=b"no")
        return HttpResponse(200)

    @property
    def given(self) -> list[str]:
        """The authorization of each request; empty where there was none."""
        return [dict(each.headers).get("authorization", "") for each in self.requests]


def calling(provider: Provider, opened: list[Client], **options: Any) -> tuple[Client, Sidecar]:
    """A client whose calls of 'pricing' carry tokens."""
    secret = options.pop("secret", provider.secret)
    tokens = ClientCredentials(
        f"{provider.issuer}/token", "shop", secret, targets=["pricing"], **options
    )
    sidecar = Sidecar()
    opened.append(Client(transport=sidecar, interceptors=[tokens]))
    return opened[-1], sidecar


async def test_calls_of_the_targets_carry_one_token(
    provider: Provider, opened: list[Client]
) -> None:
    """It is fetched with the first of them; others carry none."""
    client, sidecar = calling(provider, opened, scopes=["read", "write"], audience="prices")
    await client.invoke(other)
    assert provider.asked == []
    await client.invoke(price)
    await client.invoke(price)
    assert sidecar.given == ["", "Bearer token-1", "Bearer token-1"]
    assert provider.asked == [
        {"grant_type": "client_credentials", "scope": "read write", "audience": "prices"}
    ]


async def test_id_and_secret_may_go_in_the_form(provider: Provider, opened: list[Client]) -> None:
    """For providers that take no Basic authentication."""
    client, sidecar = calling(provider, opened, in_body=True)
    await client.invoke(price)
    assert sidecar.given == ["Bearer token-1"]
    assert provider.asked[0]["client_id"] == "shop"


async def test_one_fetch_at_a_time(provider: Provider, opened: list[Client]) -> None:
    """Calls that come together wait for the same token."""
    client, sidecar = calling(provider, opened)
    await asyncio.gather(*(client.invoke(price) for _ in range(20)))
    assert len(provider.asked) == 1
    assert set(sidecar.given) == {"Bearer token-1"}


async def test_who_gives_up_does_not_take_the_token_from_others(
    provider: Provider, opened: list[Client]
) -> None:
    """A cancelled call leaves the fetch to who waits for it, too."""
    client, sidecar = calling(provider, opened)
    provider.gate.clear()
    first = asyncio.create_task(client.invoke(price))
    second = asyncio.create_task(client.invoke(price))
    await provider.called.wait()
    first.cancel()
    provider.gate.set()
    await second
    assert first.cancelled()
    assert (len(provider.asked), sidecar.given) == (1, ["Bearer token-1"])


async def test_a_token_is_renewed_before_it_ends(provider: Provider, opened: list[Client]) -> None:
    """A token of a moment has ended by the next call."""
    provider.lifetime = 1e-9
    client, sidecar = calling(provider, opened)
    await client.invoke(price)
    await client.invoke(price)
    assert sidecar.given == ["Bearer token-1", "Bearer token-2"]


async def test_the_old_token_serves_while_the_provider_is_away(
    provider: Provider, opened: list[Client], caplog: pytest.LogCaptureFixture
) -> None:
    """Until it ends; the log says so."""
    provider.lifetime = 1000
    client, sidecar = calling(provider, opened, early=1e9)
    await client.invoke(price)
    (tokens,) = client.interceptors
    assert isinstance(tokens, ClientCredentials)
    provider.down = True
    renew_now(tokens)
    await client.invoke(price)
    assert sidecar.given == ["Bearer token-1", "Bearer token-1"]
    assert "the present token serves on" in caplog.text
    assert "token-1" not in caplog.text


def renew_now(tokens: ClientCredentials) -> None:
    """Let time pass until the token is to be renewed."""
    from dataclasses import replace

    assert tokens._token is not None
    tokens._token = replace(tokens._token, renew_at=0.0)


async def test_401_has_it_fetched_anew(provider: Provider, opened: list[Client]) -> None:
    """The call itself fails, as it may have been done; the next one has a new token."""
    client, sidecar = calling(provider, opened)
    sidecar.refuses = 1
    with pytest.raises(SidecarError):
        await client.invoke(price)
    await client.invoke(price)
    assert sidecar.given == ["Bearer token-1", "Bearer token-2"]


async def test_a_failure_says_what_the_provider_answered(
    provider: Provider, opened: list[Client]
) -> None:
    """Not the secret, nor whatever else is in the answer; the call is not made."""
    client, sidecar = calling(provider, opened, secret="wrong")
    with pytest.raises(TokenUnavailable) as caught:
        await client.invoke(price)
    text = str(caught.value)
    assert text.startswith(f"the token endpoint '{provider.issuer}/token' gave client 'shop' no")
    assert "it answered 401 ('invalid_client')" in text
    assert "wrong" not in text
    assert sidecar.requests == []


async def test_a_secret_may_come_from_a_secret_store(provider: Provider) -> None:
    """It is read when the token is fetched."""
    app = DaprFlow("shop")
    tokens = ClientCredentials(
        f"{provider.issuer}/token",
        "shop",
        StoredSecret("vault", "pricing", lambda: app.client),
        targets=["pricing"],
    )
    pricing = DaprFlow("pricing")

    @pricing.invoke(name="price")
    async def answer() -> bytes:
        return b"7"

    async with TestSidecar(
        app, peers=[pricing], secrets={"vault": {"pricing": provider.secret}}
    ) as dapr:
        app.client.add_interceptors(tokens)
        assert await app.client.invoke(price) == b"7"
    assert len(provider.asked) == 1
    assert dapr is not None


def test_it_shows_no_secret() -> None:
    """Neither it nor what it holds."""
    tokens = ClientCredentials("https://id.example/token", "shop", "hush", targets=["pricing"])
    assert "hush" not in repr(tokens)
    assert "hush" not in repr(vars(tokens))


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (("http://id.example/token", "shop", "x", ["a"]), "which is not https"),
        (("https://id.example/token", "", "x", ["a"]), "id or its secret is empty"),
        (("https://id.example/token", "shop", Secret(""), ["a"]), "id or its secret is empty"),
        (("https://id.example/token", "shop", "x", []), "names the apps"),
    ],
)
def test_what_cannot_work_is_refused(given: tuple[Any, ...], problem: str) -> None:
    """When it is made."""
    *arguments, targets = given
    with pytest.raises(ValueError, match=problem):
        ClientCredentials(*arguments, targets=targets)
