"""The paths of probes belong to the app itself."""

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from daprflow import AppDefinitionError, DaprFlow
from daprflow.settings import Settings
from tests.helpers.app_calls import Caller


async def own(_: Request) -> PlainTextResponse:
    """A route of somebody else."""
    return PlainTextResponse("own")


def test_a_handler_may_not_stand_there() -> None:
    """A verb and a path that probes use is a mistake of the definition; POST is not."""
    app = DaprFlow("shop")

    @app.invoke("GET", "/healthz")
    async def health() -> int:
        return 1

    @app.invoke("POST", "/readyz")
    async def ready() -> int:
        return 1

    with pytest.raises(AppDefinitionError, match=r"'GET /healthz', where probes are answered") as e:
        app.freeze()
    assert "POST /readyz" not in str(e.value)


def test_a_route_of_the_app_may_not_stand_there() -> None:
    """What would never be reached is told at the start."""
    app = DaprFlow("shop", routes=[Route("/readyz", own)])
    with pytest.raises(AppDefinitionError, match="'routes' has a route '/readyz'"):
        app.freeze()


async def test_a_route_of_a_host_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """A host may have such a route; the app answers, and says so."""
    app = DaprFlow("shop", settings=Settings(health_timeout=0))
    host = Starlette(routes=[Route("/healthz", own), Route("/readyz", own, methods=["POST"])])
    app.install(host)
    async with app.lifespan(host):
        assert (await Caller(host).get("/healthz")).json == {"status": "ok"}
    assert [record.getMessage() for record in caplog.records] == [
        "the route '/healthz' of the host application is never asked: daprflow answers probes there"
    ]
