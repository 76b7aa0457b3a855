"""``bindings.localstorage``: where names and links lead (S-09), and what it stores."""

import asyncio
import json
import os
import resource
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.components.base import ComponentError
from daprflow.sidecar.components.binding_localstorage import LocalStorageBinding
from tests.helpers.components import context

KIND = "bindings.localstorage"


@pytest.fixture
async def files(tmp_path: Path) -> AsyncIterator[LocalStorageBinding]:
    """A binding on ``files``, beside a file that is none of its business."""
    (tmp_path / "secret").write_text("outside", encoding="utf-8")
    binding = LocalStorageBinding(context(tmp_path, VirtualClock(), KIND, rootPath="files"))
    await binding.open()
    yield binding
    await binding.close()


async def get(files: LocalStorageBinding, name: str) -> bytes | None:
    """Return what is stored under a name."""
    return (await files.invoke("get", b"null", {"fileName": name})).data


def names_in(folder: Path) -> list[str]:
    """Return the names of what is in ``folder``."""
    return sorted(path.name for path in folder.iterdir())


async def store_and_read(files: LocalStorageBinding, name: str) -> bytes | None:
    """Store a text under ``name`` and read it back; None where that is refused."""
    try:
        made = await files.invoke("create", b'"x y"', {"fileName": name})
        return await get(files, name or json.loads(made.data or b"")["fileName"])
    except ComponentError:
        return None


@pytest.mark.row("S-09")
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)
@given(name=st.text(alphabet="/.a\\\u00e4 ~$", max_size=20))
async def test_no_name_leads_outside(files: LocalStorageBinding, tmp_path: Path, name: str) -> None:
    """Whatever the name is, what is created is below the root, and nothing else changes."""
    assert await store_and_read(files, name) in {b"x y", None}
    assert names_in(tmp_path) == ["files", "secret"]
    assert await asyncio.to_thread((tmp_path / "secret").read_bytes) == b"outside"


@pytest.mark.row("S-09")
@pytest.mark.parametrize("target", ["{root}/secret", "../secret", "../../../../{root}/secret"])
async def test_links_are_resolved_inside(
    files: LocalStorageBinding, tmp_path: Path, target: str
) -> None:
    """A link is read as if the root were the whole file system, as the real binding does."""
    (tmp_path / "files" / "link").symlink_to(target.format(root=tmp_path))
    with pytest.raises(ComponentError, match="file not found"):
        await get(files, "link")
    await files.invoke("create", b'"in side"', {"fileName": "link"})
    assert (tmp_path / "secret").read_text(encoding="utf-8") == "outside"
    assert await get(files, "link") == b"in side"


async def test_links_inside_work(files: LocalStorageBinding, tmp_path: Path) -> None:
    """A link to a folder inside the root is followed; its answer names the real place."""
    (tmp_path / "files" / "real").mkdir()
    (tmp_path / "files" / "link").symlink_to("real")
    made = await files.invoke("create", b'"a b"', {"fileName": "link/f"})
    assert json.loads(made.data or b"") == {"fileName": "real/f"}


async def test_links_in_a_circle(files: LocalStorageBinding, tmp_path: Path) -> None:
    """A link that leads to itself is an error, not a loop."""
    (tmp_path / "files" / "a").symlink_to("a")
    with pytest.raises(ComponentError, match="too many symbolic links"):
        await get(files, "a")


async def test_only_files_are_read(files: LocalStorageBinding, tmp_path: Path) -> None:
    """A folder, a pipe and a name with NUL are errors; none of them hangs."""
    os.mkfifo(tmp_path / "files" / "pipe")
    (tmp_path / "files" / "folder").mkdir()
    for name in ("pipe", "folder", ".", "a\0b"):
        with pytest.raises(ComponentError):
            await get(files, name)


@pytest.mark.row("S-09")
async def test_files_are_not_executable(files: LocalStorageBinding, tmp_path: Path) -> None:
    """What is created has no execute bits."""
    await files.invoke("create", b'"x y"', {"fileName": "f"})
    assert (tmp_path / "files" / "f").stat().st_mode & 0o111 == 0


async def test_deleting(files: LocalStorageBinding, tmp_path: Path) -> None:
    """An empty folder can be deleted, a full one not; a missing file is an error."""
    await files.invoke("create", b'"x y"', {"fileName": "d/f"})
    with pytest.raises(ComponentError, match="error deleting file"):
        await files.invoke("delete", b"", {"fileName": "d"})
    await files.invoke("delete", b"", {"fileName": "d/f"})
    await files.invoke("delete", b"", {"fileName": "d"})
    with pytest.raises(ComponentError, match="file not found"):
        await files.invoke("delete", b"", {"fileName": "d/f"})


async def test_listing(files: LocalStorageBinding, tmp_path: Path) -> None:
    """A list has every file below a folder in order; an empty one is null, a file is no folder."""
    assert (await files.invoke("list", b"", {})).data == b"null"
    for name in ("b", "a/x", "a/c/y"):
        await files.invoke("create", b'"x y"', {"fileName": name})
    root = tmp_path / "files"
    assert json.loads((await files.invoke("list", b"", {})).data or b"") == [
        str(root / name) for name in ("a/c/y", "a/x", "b")
    ]
    below = (await files.invoke("list", b"", {"fileName": "a/c"})).data
    assert json.loads(below or b"") == [str(root / "a/c/y")]
    for name in ("b", "none"):
        with pytest.raises(ComponentError):
            await files.invoke("list", b"", {"fileName": name})


@pytest.mark.parametrize(
    ("data", "stored"),
    [
        (b'"hi there"', b"hi there"),
        (b'"aGVsbG8="', b"hello"),
        (b'"aGVs\\nbG8="', b"hello"),
        (b'"a\\nb c"', b"a\nb c"),
        (b'{"a":1}', b'{"a":1}'),
        (b"\xff\x00", b"\xff\x00"),
        (b'"\xff', b'"\xff'),
        (b"", b""),
    ],
)
async def test_what_is_stored(files: LocalStorageBinding, data: bytes, stored: bytes) -> None:
    """The text of a JSON string is stored, decoded where it is base64; the rest as it is."""
    await files.invoke("create", data, {"fileName": "f"})
    assert await get(files, "f") == stored


@pytest.mark.parametrize(
    ("root", "text"),
    [
        ("", "must not be empty"),
        ("/proc/self", "disallowed location"),
        ("/sys", "disallowed location"),
        ("secret", "represents a file"),
        ("secret/below", "unable to create directory"),
    ],
)
async def test_bad_roots(tmp_path: Path, root: str, text: str) -> None:
    """A root that cannot or may not be used stops the start."""
    (tmp_path / "secret").touch()
    binding = LocalStorageBinding(context(tmp_path, VirtualClock(), KIND, rootPath=root))
    with pytest.raises(ComponentError, match=text):
        await binding.open()


async def test_an_unknown_operation(files: LocalStorageBinding) -> None:
    """An operation that it does not have is refused."""
    with pytest.raises(ComponentError, match="unsupported operation exec"):
        await files.invoke("exec", b"", {})


@pytest.fixture
def small_disk() -> Iterator[None]:
    """No file may be larger than a mebibyte, as if the disk were full then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024 * 1024, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("small_disk")
async def test_a_file_that_cannot_be_written_stays_as_it_was(
    files: LocalStorageBinding, tmp_path: Path
) -> None:
    """A full disk costs neither what was stored before nor a file half-written."""
    await files.invoke("create", b'"x y"', {"fileName": "a"})
    with pytest.raises(ComponentError, match=r"error creating file .*files/a: file too large"):
        await files.invoke("create", b"y y" * 1024 * 1024, {"fileName": "a"})
    assert await get(files, "a") == b"x y"
    assert names_in(tmp_path / "files") == ["a"]
    await files.invoke("create", b'"z z"', {"fileName": "a"})
    assert await get(files, "a") == b"z z"


async def test_what_is_of_another_kind(files: LocalStorageBinding, tmp_path: Path) -> None:
    """A folder is not read, a file not listed, and the root stays; each in the real one's words."""
    root = tmp_path / "files"
    await files.invoke("create", b'"x y"', {"fileName": "d/f"})
    for operation, name, text in (
        ("get", "d", f"error reading file {root}/d: read {root}/d: is a directory"),
        ("delete", "", f"error deleting file {root}: remove {root}: directory not empty"),
        (
            "list",
            "d/f",
            f"unable to list files as the file specified is not a directory: {root}/d/f",
        ),
        (
            "list",
            "none",
            (
                f"error getting stats for path {root}/none: stat {root}/none: "
                "no such file or directory"
            ),
        ),
    ):
        with pytest.raises(ComponentError) as raised:
            await files.invoke(operation, b"", {"fileName": name})
        assert str(raised.value) == text
