"""The sidecar itself: metadata, health, its end, and its age."""

import pytest
from starlette.responses import Response

from daprflow.client import Client
from daprflow.errors import SidecarError, SidecarUnavailable
from daprflow.protocol.http import HttpRequest
from daprflow.settings import Settings
from daprflow.testing.transport import InProcessTransport
from tests.helpers.small_sidecar import SmallSidecar, error

DOCUMENT = (
    b'{"id":"shop","runtimeVersion":"%s","enabledFeatures":["HotReload"],'
    b'"components":[{"name":"s","type":"state.redis","version":"v1","capabilities":["ETAG"]}],'
    b'"subscriptions":[{"pubsubname":"p","topic":"t","rules":[{"path":"/t"}],'
    b'"deadLetterTopic":"d","type":"PROGRAMMATIC"}],"actors":[{"type":"Cart"}],'
    b'"appConnectionProperties":{"port":8000,"protocol":"http","channelAddress":"127.0.0.1"},'
    b'"extended":{"daprRuntimeVersion":"1.18.3"},"news":{"to":"come"}}'
)


def runtime(sidecar: SmallSidecar, version: bytes = b"1.18.3") -> None:
    """Have the sidecar say that it is of that version."""
    body = DOCUMENT % version
    sidecar.answers["/v1.0/metadata"] = Response(body, media_type="application/json")


def unknown() -> Response:
    """Return what a runtime answers to a path that it does not know."""
    text = "failed getting app id either from the URL path or the header dapr-app-id"
    return error(404, "ERR_DIRECT_INVOKE", text)


async def test_metadata_is_typed(client: Client, sidecar: SmallSidecar) -> None:
    """What there is has names, and what a later runtime adds does no harm."""
    runtime(sidecar)

    found = await client.metadata()

    assert (found.id, found.version, found.enabled_features) == ("shop", "1.18.3", ("HotReload",))
    assert (found.components[0].type, found.components[0].capabilities) == (
        "state.redis",
        ("ETAG",),
    )
    assert found.subscriptions[0].rules[0].path == "/t"
    assert (found.actors[0].count, found.app_connection_properties.port) == (0, 8000)


async def test_metadata_of_somebody_else_is_an_error(client: Client, sidecar: SmallSidecar) -> None:
    """A page is no document, and the error says where to look."""
    page = Response(b"<title>Sign in</title>", media_type="text/html")
    sidecar.answers["/v1.0/metadata"] = page

    with pytest.raises(SidecarError, match=r"not a sidecar's.*titled 'Sign in'.*proxy"):
        await client.metadata()


async def test_metadata_can_be_set(client: Client, sidecar: SmallSidecar) -> None:
    """The value is the body as it is."""
    await client.set_metadata("app/command", "python é")

    assert sidecar.requests == [("PUT", "/v1.0/metadata/app%2Fcommand", "python é".encode())]


async def test_health_is_a_question_and_no_wait(sidecar: SmallSidecar) -> None:
    """A sidecar that is not ready, or not there, is not healthy at once."""
    sidecar.healthy = False
    async with Client(Settings(health_timeout=0), transport=InProcessTransport(sidecar)) as client:
        assert not await client.healthy(outbound=True)
        assert await client.healthy()
        sidecar.answers["/v1.0/healthz"] = Response(status_code=500)
        assert not await client.healthy()

    alone = Client(Settings(http_endpoint="http://127.0.0.1:1"))
    assert not await alone.healthy()
    await alone.close()


async def test_one_may_wait_for_it(sidecar: SmallSidecar) -> None:
    """The wait has a limit, and its error says so."""
    async with Client(transport=InProcessTransport(sidecar)) as client:
        await client.wait_until_ready()
        sidecar.healthy = False
        with pytest.raises(SidecarUnavailable, match=r"within 0\.02 s"):
            await client.wait_until_ready(0.02)


@pytest.mark.parametrize(("force", "header"), [(False, None), (True, "true")])
async def test_a_sidecar_can_be_ended(
    client: Client, sidecar: SmallSidecar, *, force: bool, header: str | None
) -> None:
    """At once with ``force``."""
    await client.shutdown(force=force)

    assert sidecar.requests[0][:2] == ("POST", "/v1.0/shutdown")
    assert sidecar.headers[0].get("dapr-force-shutdown") == header


async def test_a_call_too_new_for_the_runtime_names_the_release(
    client: Client, sidecar: SmallSidecar
) -> None:
    """The version is asked for once, when a call turns out unknown, and never before."""
    runtime(sidecar, b"1.15.4")
    path = "/v1.0-alpha2/conversation/echo/converse"
    sidecar.answers[path] = unknown()
    request = HttpRequest("POST", path)

    for _ in range(2):
        with pytest.raises(SidecarError, match=r"needs Dapr 1\.16; this sidecar is 1\.15\.4"):
            await client._caller.call(request)

    asked = [target for _, target, _ in sidecar.requests]
    assert asked == [path, "/v1.0/metadata", path]


@pytest.mark.parametrize("version", [b"1.18.3", b"edge", b""])
async def test_a_new_enough_runtime_is_not_blamed(
    client: Client, sidecar: SmallSidecar, version: bytes
) -> None:
    """Where the API is off, or the version is no number, the runtime's own words stand."""
    runtime(sidecar, version)
    path = "/v1.0-alpha2/conversation/echo/converse"
    sidecar.answers[path] = unknown()

    with pytest.raises(SidecarError, match="its Configuration does not allow the API"):
        await client._caller.call(HttpRequest("POST", path))
