"""The configuration routes: what they answer, and what they have the app told."""

import contextlib
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from daprflow.protocol.http import HttpRequest, HttpResponse
from daprflow.sidecar.app.http import HttpApp
from daprflow.sidecar.channel.in_process import AsgiChannel
from daprflow.sidecar.components.base import ComponentError, EditableConfiguration
from daprflow.sidecar.engine import Engine
from daprflow.sidecar.http_api.app import HttpApi
from daprflow.sidecar.options import RuntimeOptions
from daprflow.sidecar.runtime import Runtime
from tests.helpers.recording import Answer, RecordingApp
from tests.helpers.sidecar import Components, InProcessSidecar, in_process_sidecar, resources
from tests.helpers.timing import eventually

STORES: Components = {
    "settings": ("configuration.daprflow", {}),
    "flags": ("configuration.daprflow", {}),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Running:
    """A sidecar with two stores, and its app."""

    sidecar: InProcessSidecar
    app: RecordingApp

    @property
    def settings(self) -> EditableConfiguration:
        """The first store."""
        return cast("EditableConfiguration", self.sidecar.runtime.configuration.find("settings"))

    async def get(self, path: str) -> HttpResponse:
        """Call a configuration route."""
        request = HttpRequest("GET", f"/v1.0/configuration/{path}")
        return await self.sidecar.exchange.send(request)

    async def subscribe(self, query: str = "") -> str:
        """Subscribe to the first store; return the id."""
        answer = await self.get(f"settings/subscribe{query}")
        assert answer.status == 200
        found: str = msgspec.json.decode(answer.body)["id"]
        return found

    async def told(self, path: str, count: int = 1) -> list[Any]:
        """Return what the app was told on ``path``."""
        calls = await self.app.wait_for(f"/configuration/settings/{path}", count)
        return [call.json() for call in calls]


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    """A sidecar with an app that takes everything."""
    app = RecordingApp()
    async with in_process_sidecar(tmp_path, STORES, app) as sidecar:
        yield Running(sidecar, app)


async def test_items_are_answered_sorted(running: Running) -> None:
    """A get answers the items by key, with versions where there are any, as Go writes JSON."""
    await running.settings.put("b", "<2>", "")
    await running.settings.put("a", "1", "v1")
    answer = await running.get("settings?key=b&key=a&key=none")
    assert answer.body == b'{"a":{"value":"1","version":"v1"},"b":{"value":"\\u003c2\\u003e"}}\n'


async def test_nothing_found_is_no_content(running: Running) -> None:
    """A get that finds nothing is answered 204 without a body."""
    answer = await running.get("settings?key=none")
    assert (answer.status, answer.body) == (204, b"")


async def test_a_change_is_posted_to_the_app(running: Running) -> None:
    """The app gets the event with its subscription's id, in the runtime's form."""
    subscription = await running.subscribe("?key=a")
    await running.settings.put("a", "1", "7")
    await running.settings.put("b", "2", "")
    (call,) = await running.app.wait_for("/configuration/settings/a")
    assert call.body == (
        b'{"id":"%s","items":{"a":{"value":"1","version":"7"}}}\n' % subscription.encode()
    )
    assert call.header("content-type") == "application/json"
    assert running.app.to("/configuration/settings/b") == []


async def test_a_removed_item_is_empty(running: Running) -> None:
    """The app is told of a removed item by one without anything."""
    await running.settings.put("a", "1", "7")
    await running.subscribe()
    await running.settings.remove("a")
    (event,) = await running.told("a")
    assert event["items"] == {"a": {}}


async def test_changes_arrive_in_order(running: Running) -> None:
    """However fast an item changes, the app is told of one change after the other."""
    await running.subscribe("?key=a")
    for number in range(20):
        await running.settings.put("a", str(number), "")
    events = await running.told("a", 20)
    assert [event["items"]["a"]["value"] for event in events] == [str(n) for n in range(20)]


async def test_names_are_escaped_as_far_as_needed(running: Running) -> None:
    """A slash in a key stays one in the path of the call; what no path can hold is escaped."""
    await running.subscribe()
    await running.settings.put("a/b c", "1", "")
    await eventually(lambda: bool(running.app.calls[-1].target.startswith("/configuration")))
    assert running.app.calls[-1].target == "/configuration/settings/a/b%20c"


async def test_a_failing_app_is_told_once(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    """Anything but 200 is logged, without the value, and the change is not sent again."""
    running.app.answers["/configuration/settings/a"] = Answer(204)
    await running.subscribe()
    await running.settings.put("a", "a secret value", "")
    await running.told("a")
    await eventually(lambda: "with status 204" in caplog.text)
    await running.settings.put("b", "2", "")
    await running.told("b")
    assert len(running.app.to("/configuration/settings/a")) == 1
    assert "a secret value" not in caplog.text


async def test_an_app_that_fails_does_not_end_the_subscription(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    """An app that cannot be reached is told of the next change."""

    def broken(_: object) -> Answer:
        raise RuntimeError("on purpose")

    running.app.computed["/configuration/settings/a"] = broken
    await running.subscribe()
    await running.settings.put("a", "1", "")
    await eventually(lambda: "could not be told" in caplog.text)
    await running.settings.put("b", "2", "")
    assert len(await running.told("b")) == 1


async def test_unsubscribed_is_not_told(running: Running) -> None:
    """After unsubscribe the app hears nothing more of that subscription; the other goes on."""
    first, second = await running.subscribe(), await running.subscribe()
    answer = await running.get(f"settings/{first}/unsubscribe")
    assert (answer.status, answer.body) == (200, b'{"ok":true}\n')
    await running.settings.put("a", "1", "")
    events = await running.told("a")
    assert [event["id"] for event in events] == [second]


async def test_a_subscription_belongs_to_its_store(running: Running) -> None:
    """An id of another store is unknown."""
    subscription = await running.subscribe()
    answer = await running.get(f"flags/{subscription}/unsubscribe")
    assert answer.status == 500
    assert b"does not exist" in answer.body


@pytest.mark.parametrize("path", ["settings", "settings/subscribe", "settings/x/unsubscribe"])
@pytest.mark.parametrize("version", ["v1.0", "v1.0-alpha1"])
async def test_both_versions_serve(running: Running, path: str, version: str) -> None:
    """Each route is there in the stable and in the alpha version."""
    request = HttpRequest("GET", f"/{version}/configuration/{path}")
    answer = await running.sidecar.exchange.send(request)
    assert b"ERR_DIRECT_INVOKE" not in answer.body


@pytest.mark.parametrize(
    "target",
    [
        "POST /v1.0/configuration/settings",
        "GET /v1.0-beta1/configuration/settings",
        "GET /v1.0/configuration/settings/x",
        "GET /v1.0/configuration/settings/x/y",
        "GET /v1.0/configuration",
    ],
)
async def test_other_routes_are_none(running: Running, target: str) -> None:
    """What the runtime has no route for is taken for an invocation without an app id."""
    method, _, path = target.partition(" ")
    answer = await running.sidecar.exchange.send(HttpRequest(method, path))
    assert answer.status == 404


async def test_no_store_at_all(tmp_path: Path) -> None:
    """Without any store the error says that there is none."""
    async with in_process_sidecar(tmp_path, {}) as sidecar:
        answer = await sidecar.exchange.send(HttpRequest("GET", "/v1.0/configuration/x?key=a"))
    assert answer.status == 500
    assert msgspec.json.decode(answer.body) == {
        "errorCode": "ERR_CONFIGURATION_STORE_NOT_CONFIGURED",
        "message": "configuration stores not configured",
    }


async def test_subscribing_without_an_app(tmp_path: Path) -> None:
    """A sidecar without an app has nobody to tell."""
    async with in_process_sidecar(tmp_path, STORES) as sidecar:
        request = HttpRequest("GET", "/v1.0/configuration/settings/subscribe")
        answer = await sidecar.exchange.send(request)
    assert answer.status == 500
    assert msgspec.json.decode(answer.body)["errorCode"] == "ERR_APP_CHANNEL_NIL"


async def test_apps_share_a_store(tmp_path: Path) -> None:
    """Two apps of one engine see the same items, and each is told of a change."""
    async with contextlib.AsyncExitStack() as stack:
        apps = [RecordingApp(), RecordingApp()]
        first = await stack.enter_async_context(in_process_sidecar(tmp_path, STORES, apps[0]))
        second = await stack.enter_async_context(_beside(first, tmp_path, apps[1]))
        for sidecar in (first, second):
            request = HttpRequest("GET", "/v1.0/configuration/settings/subscribe")
            assert (await sidecar.exchange.send(request)).status == 200
        await Running(first, apps[0]).settings.put("a", "1", "")
        for app in apps:
            await app.wait_for("/configuration/settings/a")


@contextlib.asynccontextmanager
async def _beside(
    first: InProcessSidecar, root: Path, app: RecordingApp
) -> AsyncIterator[InProcessSidecar]:
    """Start another app's sidecar on the engine of the first."""
    engine: Engine = first.engine
    options = RuntimeOptions("app2", app_port=1)
    runtime = Runtime(engine, options, resources(STORES), HttpApp(AsgiChannel(app)))
    await runtime.open()
    await runtime.connect()
    yield InProcessSidecar(AsgiChannel(HttpApi(runtime)), runtime, engine, first.clock)
    await runtime.close(1.0)


@pytest.mark.parametrize(("key", "value"), [("", "x"), ("a", "")])
async def test_an_empty_item_is_refused(running: Running, key: str, value: str) -> None:
    """What the wire could not tell from a removed item is not stored."""
    with pytest.raises(ComponentError, match="remove it instead"):
        await running.settings.put(key, value, "")
