"""Bindings: the rows of Dapr's component conformance for cron, localstorage and http."""

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest

from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.components.base import (
    BindingMessage,
    ComponentError,
    InputBinding,
    OutputBinding,
)
from daprflow.sidecar.components.registry import COMPONENTS
from tests.helpers.components import context
from tests.helpers.recording import Answer, Call, RecordingApp, serve
from tests.helpers.timing import until

MIDNIGHT = 1_700_006_400.0  # 2023-11-15 00:00:00 UTC, a Wednesday

SCHEDULES = {
    "@every 5s": [5, 10, 15],
    "@every 1h30m": [5400, 10800],
    "*/10 * * * * *": [10, 20, 30],
    "30 * * * * *": [30, 90],
    "* * * * *": [60, 120],
    "15 3 * * *": [3 * 3600 + 900],
    "0 15 3 * * *": [3 * 3600 + 900],
    "0 0 0 ? * THU": [24 * 3600],
    "@hourly": [3600, 7200],
    "@daily": [24 * 3600],
    "@midnight": [24 * 3600],
}
"""Seconds after midnight, UTC, at which each form of a schedule ticks."""


async def open_output(kind: str, root: Path, **metadata: str) -> OutputBinding:
    """Open an output binding."""
    made_from = context(root, VirtualClock(), kind, **metadata)
    component = cast("OutputBinding", COMPONENTS[kind](made_from))
    await component.open()
    return component


@pytest.fixture
async def files(tmp_path: Path) -> AsyncIterator[OutputBinding]:
    """A localstorage binding on an empty folder."""
    component = await open_output("bindings.localstorage", tmp_path, rootPath="files")
    yield component
    await component.close()


@pytest.mark.parametrize("schedule", SCHEDULES)
async def test_c_bi_04_06_cron(
    tmp_path: Path, schedule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C-BI-04, 06: each form of a schedule ticks when it is due, never early."""
    monkeypatch.setenv("TZ", "UTC")
    clock = VirtualClock(MIDNIGHT)
    made_from = context(tmp_path, clock, "bindings.cron", schedule=schedule)
    component = cast("InputBinding", COMPONENTS["bindings.cron"](made_from))
    await component.open()
    ticks: list[float] = []

    async def receive(message: BindingMessage) -> None:
        assert message.data == b""
        assert {name.lower() for name in message.metadata} == {"timezone", "readtimeutc"}
        ticks.append(clock.now() - MIDNIGHT)

    await component.start(receive)
    expected = SCHEDULES[schedule]
    await until(clock, lambda: len(ticks) >= len(expected))
    await component.stop()
    await component.close()
    assert ticks[: len(expected)] == expected


async def test_c_bi_06_cron_restart(tmp_path: Path) -> None:
    """C-BI-06: a stopped schedule is silent, and begins anew when it is started again."""
    clock = VirtualClock(MIDNIGHT)
    made_from = context(tmp_path, clock, "bindings.cron", schedule="@every 10s")
    component = cast("InputBinding", COMPONENTS["bindings.cron"](made_from))
    await component.open()
    ticks: list[float] = []

    async def receive(message: BindingMessage) -> None:
        ticks.append(clock.now() - MIDNIGHT)

    await component.start(receive)
    await until(clock, lambda: ticks == [10])
    clock.move_to(MIDNIGHT + 15)
    await component.stop()
    clock.move_to(MIDNIGHT + 27)
    await component.start(receive)
    await until(clock, lambda: len(ticks) == 2)
    await component.stop()
    await component.close()
    assert ticks == [10, 37]


@pytest.mark.parametrize("schedule", ["", "* * *", "61 * * * * *", "@every", "@every x", "@often"])
async def test_cron_refuses_bad_schedules(tmp_path: Path, schedule: str) -> None:
    """A schedule that the real runtime cannot read stops the start, with its text in the error."""
    made_from = context(tmp_path, VirtualClock(), "bindings.cron", schedule=schedule)
    with pytest.raises(ComponentError, match="schedule"):
        await COMPONENTS["bindings.cron"](made_from).open()


async def test_c_bi_01_02_localstorage_operations(files: OutputBinding) -> None:
    """C-BI-01, 02: localstorage opens, and claims create, get, list and delete."""
    assert set(files.operations) == {"create", "get", "list", "delete"}


async def test_c_bi_03_07_localstorage(files: OutputBinding, tmp_path: Path) -> None:
    """C-BI-03, 07: create, get, list and delete agree; a missing file is an error."""
    name = {"fileName": "sub/a.txt"}
    made = await files.invoke("create", b'"hi there"', name)
    assert json.loads(made.data or b"") == {"fileName": "sub/a.txt"}
    assert (tmp_path / "files" / "sub" / "a.txt").read_bytes() == b"hi there"
    assert (await files.invoke("get", b"", name)).data == b"hi there"
    listed = json.loads((await files.invoke("list", b"", {})).data or b"")
    assert listed == [str(tmp_path / "files" / "sub" / "a.txt")]
    assert (await files.invoke("delete", b"", name)).data is None
    with pytest.raises(ComponentError, match="not found"):
        await files.invoke("get", b"", name)


async def test_localstorage_names_a_file_without_one(files: OutputBinding, tmp_path: Path) -> None:
    """Without a name localstorage makes one up and answers it."""
    made = await files.invoke("create", b'"x y"', {})
    name = json.loads(made.data or b"")["fileName"]
    assert (tmp_path / "files" / name).read_bytes() == b"x y"


async def test_c_bi_09_localstorage_decodes_base64(files: OutputBinding, tmp_path: Path) -> None:
    """C-BI-09: a text that happens to be base64 is stored decoded, as the real one does."""
    await files.invoke("create", b'"abcd"', {"fileName": "a"})
    assert (tmp_path / "files" / "a").read_bytes() == base64.b64decode("abcd")


def names_in(folder: Path) -> set[str]:
    """Return the names of what is in ``folder``."""
    return {path.name for path in folder.iterdir()}


ESCAPES = ["../x", "../../etc/passwd", "/etc/passwd", "a/../../x", "..", ".", "a/./../../../x"]


@pytest.mark.parametrize("name", ESCAPES)
async def test_localstorage_stays_inside(files: OutputBinding, tmp_path: Path, name: str) -> None:
    """No name reaches a file outside the root, for reading or for writing."""
    (tmp_path / "x").write_text("outside", encoding="utf-8")
    for operation in ("create", "get", "delete"):
        try:
            answer = await files.invoke(operation, b'"in side"', {"fileName": name})
        except ComponentError:
            continue
        assert answer.data != b"outside"
    assert (tmp_path / "x").read_text(encoding="utf-8") == "outside"
    assert names_in(tmp_path) == {"files", "x"}


@pytest.mark.row("S-09")
async def test_localstorage_follows_no_link_outside(files: OutputBinding, tmp_path: Path) -> None:
    """A symbolic link inside the root that leads outside is not followed."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "s").write_text("secret", encoding="utf-8")
    (tmp_path / "files").mkdir(exist_ok=True)
    (tmp_path / "files" / "link").symlink_to(tmp_path / "outside")
    try:
        answer = await files.invoke("get", b"", {"fileName": "link/s"})
    except ComponentError:
        return
    assert answer.data != b"secret"


def http_app(call: Call) -> Answer:
    """Answer what came, with 404 where asked for it."""
    if call.path.endswith("missing"):
        return Answer(404, b"not here", "text/plain", {"x-from": "app"})
    return Answer(200, call.method.encode() + b" " + call.body, "text/plain", {"x-from": "app"})


async def test_c_bi_02_03_http(tmp_path: Path) -> None:
    """C-BI-02, 03: bindings.http sends each of its operations as that verb and gives the answer."""
    app = RecordingApp(http_app)
    async with serve(app) as port:
        url = f"http://127.0.0.1:{port}/base"
        component = await open_output("bindings.http", tmp_path, url=url)
        for operation, verb in {"create": "POST", "get": "GET", "put": "PUT"}.items():
            assert operation in component.operations
            answer = await component.invoke(operation, b'"x"', {"path": "/p", "X-Mine": "1"})
            assert (answer.data or b"").startswith(verb.encode())
            assert answer.metadata["statusCode"] == "200"
            assert answer.error == ""
        await component.close()
    assert {call.path for call in app.calls} == {"/base/p"}
    assert {call.header("x-mine") for call in app.calls} == {"1"}


async def test_http_keeps_what_came_with_an_error(tmp_path: Path) -> None:
    """An answer that is not 2xx is an error that still carries data and metadata."""
    async with serve(RecordingApp(http_app)) as port:
        url = f"http://127.0.0.1:{port}"
        component = await open_output("bindings.http", tmp_path, url=url)
        answer = await component.invoke("get", b"", {"path": "/missing"})
        accepted = await component.invoke(
            "get", b"", {"path": "/missing", "errorIfNot2XX": "false"}
        )
        await component.close()
    assert "404" in answer.error
    assert (answer.data, answer.metadata["statusCode"]) == (b"not here", "404")
    assert accepted.error == ""
