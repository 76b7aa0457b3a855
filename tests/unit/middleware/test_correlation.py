"""Correlation ids: accepted or made, bound, sent along and given back."""

import pytest
from starlette.middleware import Middleware

from daprflow import AppDefinitionError, Client, DaprFlow, Endpoint, Router
from daprflow.middleware import Correlation, CorrelationHeader
from daprflow.observability.correlation import correlation_id
from daprflow.testing import TestSidecar
from tests.helpers.app_calls import Caller, running

seen = Endpoint("other", "seen", None, str)


def shop(header: str = "x-correlation-id") -> DaprFlow:
    """An app that answers the id it sees."""
    app = DaprFlow("shop", middleware=[Middleware(Correlation, header=header)])

    @app.invoke
    async def mine() -> str:
        return correlation_id()

    @app.invoke
    async def fails() -> str:
        raise ValueError

    return app


async def ask(call: Caller, *given: str, header: str = "x-correlation-id") -> str:
    """Return the id that the handler saw, which is the one in the answer."""
    answer = await call.post("/mine", headers=[(header, each) for each in given])
    assert answer.headers[header] == answer.body.decode()
    return answer.body.decode()


async def test_an_id_is_accepted_and_given_back() -> None:
    """By the header that is configured; of errors, too."""
    async with running(shop()) as call:
        assert await ask(call, "order-7/retry:1") == "order-7/retry:1"
        answer = await call.post("/fails", headers=[("x-correlation-id", "a")])
        assert (answer.status, answer.headers["x-correlation-id"]) == (500, "a")
    async with running(shop("X-Request-ID")) as call:
        assert await ask(call, "b", header="x-request-id") == "b"
    assert correlation_id() == ""


@pytest.mark.parametrize(
    "given", [[], [""], ["a" * 129], ["a b"], ["a\tb"], ["ü"], ["<script>"], ["a", "b"]], ids=str
)
async def test_an_id_that_cannot_be_used_is_replaced(given: list[str]) -> None:
    """Too long, two of them, or signs that could mean something in a log."""
    async with running(shop()) as call:
        made = await ask(call, *given)
        assert len(made) == 32
        assert made.isalnum()
        assert made != await ask(call, *given)


async def test_calls_of_the_client_take_it_along() -> None:
    """From one app to the next; a header of the call's own stays."""
    other = DaprFlow("other", middleware=[Middleware(Correlation)])

    @other.invoke(name="seen")
    async def on_seen() -> str:
        return correlation_id()

    app, router = DaprFlow("shop"), Router(middleware=[Middleware(Correlation)])
    app.include(router)

    @router.invoke
    async def ask_other(*, client: Client) -> str:
        return await client.invoke(seen)

    async with TestSidecar(app, peers=[other]):
        app.client.add_interceptors(CorrelationHeader())
        answer = await Caller(app).post("/ask_other", headers=[("x-correlation-id", "order-7")])
        assert answer.body == b"order-7"


def test_a_header_that_is_none_is_a_mistake() -> None:
    """It is found when the app freezes."""
    with pytest.raises(AppDefinitionError, match="no header's name"):
        shop("x correlation").freeze()
