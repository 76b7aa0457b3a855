"""Configuration handlers: defined, called with typed items, and told again after a failure."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from daprflow import AppDefinitionError, Client, ConfigItem, DaprFlow, Delivery, Next, Outcome
from daprflow.client import feeding, watching
from daprflow.protocol.http import HttpRequest, HttpResponse
from daprflow.settings import Settings
from daprflow.sidecar.channel.in_process import AsgiChannel
from daprflow.sidecar.components.base import EditableConfiguration
from daprflow.testing.lifespan import RunningApp
from tests.helpers.blocks import COMPONENTS, Line
from tests.helpers.sidecar import InProcessSidecar, in_process_sidecar
from tests.helpers.timing import eventually


class Limits(msgspec.Struct, frozen=True):
    """A value."""

    daily: int


DEFAULT = Limits(1)


@dataclasses.dataclass(slots=True)
class Running:
    """An app, and a sidecar that may be exchanged for another one."""

    app: DaprFlow
    sidecar: InProcessSidecar
    line: Line
    channel: AsgiChannel

    async def set(self, key: str, value: str, version: str = "") -> None:
        """Set one item, and wait until everybody was told."""
        store = self.sidecar.runtime.configuration.find("settings")
        await cast("EditableConfiguration", store).put(key, value, version)
        await self.settle()

    async def remove(self, key: str) -> None:
        """Remove one item, and wait until everybody was told."""
        store = self.sidecar.runtime.configuration.find("settings")
        await cast("EditableConfiguration", store).remove(key)
        await self.settle()

    async def settle(self) -> None:
        """Wait until nothing is under way on either side."""
        await self.sidecar.engine.work.idle()
        await self.app.feed.pushes.settled()

    async def post(self, path: str, body: bytes, *headers: tuple[str, str]) -> HttpResponse:
        """Call the app as a sidecar would."""
        return await self.channel.send(HttpRequest("POST", path, headers, body))


@contextlib.asynccontextmanager
async def running(
    app: DaprFlow, root: Path, prepare: Callable[[Line], None] = lambda _: None
) -> AsyncIterator[Running]:
    """Run ``app`` with a sidecar of its own; ``prepare`` is called before the app starts."""
    lifespan = RunningApp(app)
    channel = AsgiChannel(lifespan)
    async with in_process_sidecar(root, COMPONENTS, channel=channel, connect=False) as sidecar:
        line = Line(sidecar)
        app.client = Client(Settings(health_timeout=0.2), transport=line).with_options(
            max_attempts=1
        )
        prepare(line)
        await lifespan.start()
        await sidecar.runtime.connect()
        run = Running(app, sidecar, line, channel)
        await run.settle()
        try:
            yield run
        finally:
            await lifespan.stop()


def app_with(**options: Any) -> tuple[DaprFlow, list[ConfigItem[Limits]]]:
    """Return an app with one handler, and the items it is given."""
    app, seen = DaprFlow("shop"), list[ConfigItem[Limits]]()

    @app.configuration("settings", "limits", **options)
    async def on_limits(item: ConfigItem[Limits]) -> None:
        seen.append(item)

    return app, seen


async def test_the_value_at_start_then_changes(tmp_path: Path) -> None:
    """A handler gets the default or the stored value first, and every change once."""
    app, seen = app_with(default=DEFAULT)
    async with running(app, tmp_path) as run:
        await run.set("limits", '{"daily": 2}', "7")
        await run.set("other", "x")
        await run.set("limits", '{"daily": 3}')
        await run.remove("limits")
    assert seen == [
        ConfigItem("limits", DEFAULT),
        ConfigItem("limits", Limits(2), "7"),
        ConfigItem("limits", Limits(3)),
        ConfigItem("limits", DEFAULT),
    ]


async def test_only_the_item_in_the_path(tmp_path: Path) -> None:
    """Of an event with several items, each call brings the one that its path names."""
    app, seen = DaprFlow("shop"), list[tuple[str, str]]()

    @app.configuration("settings", "a", "b/c")
    async def on_item(item: ConfigItem[str]) -> None:
        seen.append((item.key, item.value))

    async with running(app, tmp_path) as run:
        (listener,) = app.feed.pushes._listeners
        body = msgspec.json.encode(
            {"id": listener.subscription, "items": {"a": {"value": "1"}, "b/c": {"value": "2"}}}
        )
        for path in ("/configuration/settings/a", "/configuration/settings/b/c"):
            assert (await run.post(path, body)).status == 200
        assert (await run.post("/configuration/settings/a", body)).status == 200
    assert seen == [("a", "1"), ("b/c", "2")]


async def test_every_item_of_a_store(tmp_path: Path) -> None:
    """A handler without keys gets whatever there is, and what is new."""
    app, seen = DaprFlow("shop"), dict[str, int | None]()

    @app.configuration("settings")
    async def on_item(item: ConfigItem[int | None]) -> None:
        seen[item.key] = item.value

    async with running(app, tmp_path) as run:
        await run.set("a", "1")
        await run.set("b", "2")
        await run.remove("a")
    assert seen == {"a": None, "b": 2}


async def test_a_bare_value_and_a_plain_function(tmp_path: Path) -> None:
    """The payload may be the value itself, and the function a plain one with nothing injected."""
    app, seen = DaprFlow("shop"), list[object]()

    @app.configuration("settings", "color", default="blue")
    def on_color(color: str) -> None:
        seen.append(color)

    @app.configuration("settings", "size")
    async def on_size() -> None:
        seen.append("size")

    async with running(app, tmp_path) as run:
        await run.set("color", "red")
        await run.set("size", "10")
    assert seen in (["blue", "size", "red", "size"], ["size", "blue", "red", "size"])


async def test_a_missing_item_without_a_default(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A handler that cannot be told of nothing is called with the first value there is."""
    app, seen = app_with()
    async with running(app, tmp_path) as run:
        assert seen == []
        assert "'settings/limits' is missing" in caplog.text
        await run.set("limits", '{"daily": 2}')
    assert [item.value for item in seen] == [Limits(2)]


@pytest.mark.row("FA-01")
async def test_the_store_is_away_at_start(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Without a sidecar a handler begins with its default, and is told once the store is back."""
    app, seen = app_with(default=DEFAULT)
    caplog.set_level("INFO")

    def cut(line: Line) -> None:
        line.cut = True

    async with running(app, tmp_path, cut) as run:
        assert [item.value for item in seen] == [DEFAULT]
        await run.set("limits", '{"daily": 2}')
        assert len(seen) == 1
        run.line.cut = False
        await eventually(lambda: len(seen) == 2)
        assert seen[1].value == Limits(2)
        await run.settle()
        await run.set("limits", '{"daily": 3}')
        assert seen[2].value == Limits(3)
    assert caplog.text.count("configuration store 'settings' cannot be read") == 1


async def test_a_change_before_there_is_a_subscription(tmp_path: Path) -> None:
    """Who could not subscribe yet takes what a sidecar posts all the same, or refuses it."""
    app, seen = app_with(default=DEFAULT)

    def cut(line: Line) -> None:
        line.cut = True

    def event(daily: str) -> bytes:
        return b'{"id": "7", "items": {"limits": {"value": "{\\"daily\\": %s}"}}}' % daily.encode()

    async with running(app, tmp_path, cut) as run:
        good = await run.post("/configuration/settings/limits", event("5"))
        bad = await run.post("/configuration/settings/limits", event("null"))
    assert (good.status, bad.status) == (200, 500)
    assert [item.value.daily for item in seen] == [1, 5]


async def test_the_sidecar_starts_anew(tmp_path: Path) -> None:
    """A sidecar that was restarted has forgotten the subscription; the app makes it again."""
    app, seen = app_with(default=DEFAULT)
    async with contextlib.AsyncExitStack() as stack:
        run = await stack.enter_async_context(running(app, tmp_path))
        await run.set("limits", '{"daily": 2}')
        await run.sidecar.runtime.configuration.close()
        await run.set("limits", '{"daily": 3}')
        assert seen[-1].value == Limits(2)
        await run.sidecar.runtime.reconnect()  # asks for /dapr/config, as a new sidecar does
        await run.settle()
        assert seen[-1].value == Limits(3)
        await run.set("limits", '{"daily": 4}')
    assert [item.value.daily for item in seen] == [1, 2, 3, 4]


async def test_subscriptions_end_with_the_app(tmp_path: Path) -> None:
    """An app that stops leaves no subscription behind."""
    app, _ = app_with(default=DEFAULT)
    async with running(app, tmp_path) as run:
        block = run.sidecar.runtime.configuration
        assert len(block._subscriptions) == 1
        ended = run.line.sent
    assert sum(target.endswith("/unsubscribe") for target in ended) >= 1


async def test_an_older_subscription_tells_twice(tmp_path: Path) -> None:
    """What an earlier process of the app subscribed to does not have a change handled twice."""
    app, seen = app_with(default=DEFAULT)
    async with running(app, tmp_path) as run:
        await run.sidecar.runtime.configuration.subscribe("settings", [], {})
        await run.set("limits", '{"daily": 2}')
        await run.set("limits", '{"daily": 3}')
    assert [item.value.daily for item in seen] == [1, 2, 3]


async def test_a_handler_that_fails_is_told_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sidecar is answered 500; the item is told again when it is read again."""
    monkeypatch.setattr(feeding, "REREAD", 0.05)
    app, seen = DaprFlow("shop"), list[int]()

    @app.configuration("settings", "a")
    async def on_a(value: int) -> None:
        seen.append(value)
        if seen.count(value) < 3:
            raise RuntimeError("on purpose")

    async with running(app, tmp_path) as run:
        await run.set("a", "5")
        await eventually(lambda: len(seen) == 3)
    assert seen == [5, 5, 5]


async def test_a_value_that_does_not_fit(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A value of another type is refused with 500, and stands in no log."""
    app, seen = app_with(default=DEFAULT)
    async with running(app, tmp_path) as run:
        (listener,) = app.feed.pushes._listeners
        event = {"id": listener.subscription, "items": {"limits": {"value": "a secret"}}}
        answer = await run.post("/configuration/settings/limits", msgspec.json.encode(event))
        assert answer.status == 500
    assert "cannot read item 'settings/limits'" in caplog.text
    assert "secret" not in caplog.text
    assert len(seen) == 1


async def test_interceptors_see_items(tmp_path: Path) -> None:
    """An interceptor is around configuration handlers, too, with the event of one item."""
    deliveries: list[Delivery] = []

    async def watch(delivery: Delivery, call: Next) -> Outcome:
        deliveries.append(delivery)
        return await call(delivery)

    app = DaprFlow("shop", interceptors=[watch])

    @app.configuration("settings", "color", default="blue")
    async def on_color(color: str) -> None: ...

    async with running(app, tmp_path) as run:
        await run.set("color", "red", "2")
    assert [(each.kind, each.name) for each in deliveries] == [
        ("configuration", "settings/color")
    ] * 2
    assert msgspec.json.decode(deliveries[1].body)["items"] == {
        "color": {"value": "red", "version": "2"}
    }


async def test_a_client_in_an_app_is_told_at_once(tmp_path: Path) -> None:
    """A subscription made inside an app is fed by what the sidecar posts; nobody polls."""
    app = DaprFlow("shop")
    async with running(app, tmp_path) as run:
        async with app.client.configuration("settings").live("a") as live:
            await app.feed.pushes.settled()
            reads = sum("/subscribe" not in target for target in run.line.sent)
            await run.set("a", "1")
            assert live.get("a", int) == 1
            assert sum("/subscribe" not in target for target in run.line.sent) == reads
        assert run.line.sent[-1].endswith("/unsubscribe")


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/configuration/settings/limits", (("dapr-caller-app-id", "evil"),), 403),
        ("/configuration/settings/limits", (("dapr-callee-app-id", "shop"),), 403),
        ("/configuration/unknown/limits", (), 500),
        ("/configuration/settings/other", (), 200),
    ],
)
async def test_who_may_tell(
    tmp_path: Path, path: str, headers: tuple[tuple[str, str], ...], status: int
) -> None:
    """Only the sidecar may tell of changes, and a store that nobody follows is an error."""
    app, seen = app_with(default=DEFAULT)
    body = b'{"id": "x", "items": {"limits": {"value": "{\\"daily\\": 9}"}}}'
    async with running(app, tmp_path) as run:
        assert (await run.post(path, body, *headers)).status == status
        await run.settle()
    assert [item.value for item in seen] == [DEFAULT]


async def test_a_body_that_is_no_event(tmp_path: Path) -> None:
    """What is no event is refused."""
    app, _ = app_with(default=DEFAULT)
    async with running(app, tmp_path) as run:
        assert (await run.post("/configuration/settings/limits", b"[]")).status == 500


async def test_other_verbs(tmp_path: Path) -> None:
    """Below ``/configuration/`` a sidecar posts; whatever else comes there is 500."""
    app, _ = app_with(default=DEFAULT)
    async with running(app, tmp_path) as run:
        answer = await run.channel.send(HttpRequest("GET", "/configuration/settings/limits"))
    assert answer.status == 500


def test_the_table(tmp_path: Path) -> None:
    """Each item of a handler is a row, and a handler of all items is one."""
    app = DaprFlow("shop")

    @app.configuration("settings", "a", "b", default=1)
    async def some(item: ConfigItem[int]) -> None: ...

    @app.configuration("flags")
    async def every(value: str) -> None: ...

    rows = [(row.kind, row.method, row.path, row.name, row.payload) for row in app.table()]
    assert rows == [
        ("configuration", "POST", "/configuration/settings/a", "settings/a", "int"),
        ("configuration", "POST", "/configuration/settings/b", "settings/b", "int"),
        ("configuration", "POST", "/configuration/flags/*", "flags/*", "str"),
    ]
    assert app.table()[0].options == {"default": "1"}


def define(app: DaprFlow, number: int) -> None:
    """Define one wrong handler."""
    decorators: list[Any] = [
        app.configuration("settings", "a", default="x"),
        app.configuration("settings", default=1),
        app.configuration("", "a"),
        app.configuration("settings", ""),
        app.configuration("set/tings", "a"),
        app.configuration(cast("Any", 7)),
        app.configuration("settings", "a", default=object()),
    ]

    async def on_item(item: ConfigItem[int]) -> None: ...

    decorators[number](on_item)
    app._decorators = [decorators[number]]


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "has a default that is not 'int'"),
        (1, "has a default and names no items"),
        (2, "has an empty name"),
        (3, "has an empty name"),
        (4, "has no '/'"),
        (5, "does not name its store and items"),
        (6, "no configuration store could hold it"),
    ],
)
def test_wrong_definitions(number: int, text: str) -> None:
    """A mistake is told at freeze, with the handler's name and place."""
    app = DaprFlow("shop")
    define(app, number)
    with pytest.raises(AppDefinitionError, match=text) as caught:
        app.freeze()
    assert "configuration handler 'on_item' (tests.unit.handlers.test_configurations:" in str(
        caught.value
    )


def test_two_handlers_of_one_item() -> None:
    """An item is one handler's."""
    app = DaprFlow("shop")

    @app.configuration("settings", "a")
    async def first(value: int) -> None: ...

    @app.configuration("settings", "a")
    async def second(value: int) -> None: ...

    with pytest.raises(AppDefinitionError, match="has the route 'POST /configuration/settings/a'"):
        app.freeze()


def test_a_decorator_without_arguments() -> None:
    """A decorator that took the function for a store says how it is written."""
    app = DaprFlow("shop")

    async def on_item(item: ConfigItem[int]) -> None: ...

    app.configuration(cast("Any", on_item))
    with pytest.raises(AppDefinitionError, match=r"write '@app\.configuration\(\.\.\.\)'"):
        app.freeze()


async def test_a_pushed_change_is_newer_than_a_reading(tmp_path: Path) -> None:
    """What was told while an older reading was under way is not taken back by it."""
    app, seen = app_with(default=DEFAULT)
    async with running(app, tmp_path) as run:
        await run.set("limits", '{"daily": 2}')
        held, passed = asyncio.Event(), asyncio.Event()
        (listener,) = app.feed.pushes._listeners
        watch = cast("watching.Watch", listener)
        send = run.line.send

        async def slow(request: HttpRequest, /) -> HttpResponse:
            answer = await send(request)
            passed.set()
            await held.wait()
            return answer

        run.line.send = slow  # type: ignore[method-assign]
        watch.wake()
        await passed.wait()
        store = run.sidecar.runtime.configuration.find("settings")
        await cast("EditableConfiguration", store).put("limits", '{"daily": 3}', "")
        await run.sidecar.engine.work.idle()
        held.set()
        await run.settle()
    assert [item.value.daily for item in seen] == [1, 2, 3]
