"""Flags of a real runtime, by its release."""

from pathlib import Path

import pytest

from daprflow.launcher.daprd_flags import NEWEST, Flag, Release, known, release_of
from daprflow.launcher.exits import LaunchError

FLAGS: list[Flag] = [
    ("app-id", "shop"),
    ("max-body-size", 4 * 1024 * 1024 + 1),
    ("read-buffer-size", 4096),
    ("metrics-listen-address", "127.0.0.1"),
]


def saying(tmp_path: Path, text: str, code: int = 0) -> Path:
    """Return a program that prints ``text``."""
    program = tmp_path / "daprd"
    program.write_text(f"#!/bin/sh\necho '{text}'\nexit {code}\n", encoding="utf-8")
    program.chmod(0o755)
    return program


@pytest.mark.parametrize(
    ("text", "release"),
    [("1.12.0", (1, 12)), ("1.18.3", (1, 18)), ("v1.14.1-rc.2", (1, 14)), ("edge", NEWEST)],
)
async def test_a_runtime_says_its_release(tmp_path: Path, text: str, release: Release) -> None:
    """What is no number is a build of somebody who knows, and gets every flag."""
    assert await release_of(saying(tmp_path, text)) == release


async def test_one_that_cannot_be_asked_is_started_all_the_same(tmp_path: Path) -> None:
    """Its start says better what is wrong with it."""
    assert await release_of(saying(tmp_path, "1.12.0", code=3)) == NEWEST
    assert await release_of(tmp_path / "none") == NEWEST


async def test_one_that_is_too_old_is_refused(tmp_path: Path) -> None:
    """The oldest release that works is named."""
    with pytest.raises(LaunchError, match=r"is 1\.11\.3, and the oldest release that works is 1"):
        await release_of(saying(tmp_path, "1.11.3"))


def test_flags_are_those_of_the_release() -> None:
    """Sizes have an older name and unit, an address has none."""
    assert known(FLAGS, (1, 14)) == FLAGS
    assert known(FLAGS, (1, 13)) == [
        ("app-id", "shop"),
        ("dapr-http-max-request-size", 5),
        ("dapr-http-read-buffer-size", 4),
    ]
    assert known([("max-body-size", -1)], (1, 12)) == [("dapr-http-max-request-size", -1)]
