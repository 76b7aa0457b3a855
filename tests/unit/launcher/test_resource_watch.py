"""Following resource files: settled changes are taken, half-saved and bad ones are not."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daprflow.launcher.resource_watch import ResourceWatch, stamp
from daprflow.sidecar.resources import Resources, load_resources

STORE = """apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {name: NAME}
spec: {type: state.in-memory, version: v1}
"""


def store(name: str) -> str:
    """Return a component's document."""
    return STORE.replace("NAME", name)


class Taken:
    """What a watch handed over."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names: list[list[str]] = []
        self.came = asyncio.Event()

    def load(self) -> Resources:
        """Read the folder."""
        return load_resources([self.folder])

    async def apply(self, resources: Resources) -> tuple[str, ...]:
        """Note what was read."""
        self.names.append([each.name for each in resources.components])
        self.came.set()
        return ()


@contextlib.asynccontextmanager
async def watching(taken: Taken) -> AsyncIterator[None]:
    """Run a watch of the folder of ``taken``."""
    task = asyncio.create_task(ResourceWatch([taken.folder], taken.load, taken.apply).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


def save(file: Path, text: str) -> None:
    """Write a file as an editor does that does not replace it."""
    file.write_text(text, encoding="utf-8")


async def saved(taken: Taken, file: Path, text: str) -> None:
    """Save until the watch, which may still be starting, notices."""
    save(file, text)
    async with asyncio.timeout(20):
        while not taken.came.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await taken.came.wait()
            save(file, text)
    taken.came.clear()


async def test_a_saved_file_is_taken(tmp_path: Path) -> None:
    """What is saved while a sidecar runs is read and handed over."""
    taken = Taken(tmp_path)
    async with watching(taken):
        await saved(taken, tmp_path / "a.yaml", store("a"))
    assert taken.names[0] == ["a"]


@pytest.mark.row("FS-28")
async def test_a_file_that_is_gone_for_a_moment(tmp_path: Path) -> None:
    """A file that an editor empties or replaces is not taken for one that was removed."""
    file = tmp_path / "a.yaml"
    file.write_text(store("a"), encoding="utf-8")
    taken = Taken(tmp_path)
    watch = ResourceWatch([tmp_path], taken.load, taken.apply)
    file.write_text("", encoding="utf-8")
    settling = asyncio.create_task(watch.settled())
    await asyncio.sleep(0)
    file.write_text(store("b"), encoding="utf-8")
    resources = await settling
    assert resources is not None
    assert [each.name for each in resources.components] == ["b"]


async def test_files_that_never_settle(tmp_path: Path) -> None:
    """Something that writes all the time keeps nothing from being taken."""
    file = tmp_path / "a.yaml"
    taken = Taken(tmp_path)

    def load() -> Resources:
        save(file, store("a") + "\n" * (file.stat().st_size if file.exists() else 1))
        return taken.load()

    watch = ResourceWatch([tmp_path], load, taken.apply, patience=0.0)
    file.write_text(store("b"), encoding="utf-8")
    resources = await asyncio.wait_for(watch.settled(), 20)
    assert resources is not None
    assert [each.name for each in resources.components] == ["a"]


@pytest.mark.row("FS-28")
async def test_a_folder_that_is_made_anew(tmp_path: Path) -> None:
    """A folder that went away and came back, as when a branch is changed, is followed on."""
    folder = tmp_path / "resources"
    folder.mkdir()
    taken = Taken(folder)
    async with watching(taken):
        await saved(taken, folder / "a.yaml", store("a"))
        shutil.rmtree(folder)
        folder.mkdir()
        await saved(taken, folder / "a.yaml", store("b"))
        while taken.names[-1] != ["b"]:
            await asyncio.wait_for(taken.came.wait(), 20)
            taken.came.clear()


async def test_what_is_as_before(tmp_path: Path) -> None:
    """An event without a change hands nothing over."""
    taken = Taken(tmp_path)
    watch = ResourceWatch([tmp_path], taken.load, taken.apply)
    assert await watch.settled() is None


BAD_POLICY = """apiVersion: dapr.io/v1alpha1
kind: Resiliency
metadata: {name: r}
spec: {policies: {timeouts: {quick: soon}}}
"""


@pytest.mark.row("FS-28")
@pytest.mark.parametrize(("bad", "line"), [("kind: [", 1), (BAD_POLICY, 4)])
async def test_a_bad_edit(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, bad: str, line: int
) -> None:
    """A bad edit is one line with file and line, and is not handed over; the next good one is."""
    taken = Taken(tmp_path)
    async with watching(taken):
        await saved(taken, tmp_path / "a.yaml", store("a"))
        (tmp_path / "a.yaml").write_text(bad, encoding="utf-8")
        async with asyncio.timeout(20):
            while "refused" not in caplog.text:  # noqa: ASYNC110 - a log has no event
                await asyncio.sleep(0.02)
        given = len(taken.names)
        await saved(taken, tmp_path / "a.yaml", store("b"))
    assert taken.names[given] == ["b"]
    assert f"{tmp_path / 'a.yaml'}:{line}: " in caplog.text
    assert ["a"] in taken.names[:given]


def test_other_files_do_not_count(tmp_path: Path) -> None:
    """Only YAML files of the folder itself are looked at; a folder that is missing has none."""
    (tmp_path / "notes.txt").write_text("x", encoding="utf-8")
    (tmp_path / "a.yml").write_text("x", encoding="utf-8")
    assert [Path(name).name for name, _, _ in stamp([tmp_path, tmp_path / "none"])] == ["a.yml"]
