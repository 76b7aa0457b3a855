"""The lines of an app: whole, in order, to the last one."""

import asyncio
import os

import pytest

from daprflow.launcher.app_output import LONGEST, AppOutput


async def relayed(data: bytes) -> list[str]:
    """What is handed on of an app that prints ``data`` and ends."""
    lines: list[str] = []
    output = AppOutput(lines.append)
    child = os.fork()
    if not child:
        while data:
            data = data[os.write(output.writing, data) :]
        os._exit(0)
    output.handed_over()
    await output.relay()
    await asyncio.to_thread(os.waitpid, child, 0)
    return lines


async def test_each_line_is_handed_on_without_its_end() -> None:
    """Empty lines count, and so does a last one that was not ended."""
    assert await relayed(b"one\n\ntwo\r\nthree") == ["one", "", "two", "three"]


@pytest.mark.row("FC-12")
async def test_bytes_that_are_no_text_are_shown_as_such() -> None:
    """An app may print anything."""
    assert await relayed(b"\xff\n") == ["\N{REPLACEMENT CHARACTER}"]


@pytest.mark.row("FC-12")
async def test_a_line_without_an_end_is_cut() -> None:
    """An endless line costs bounded memory, and loses nothing."""
    lines = await relayed(b"x" * (5 * LONGEST) + b"\nend\n")
    assert len(lines) > 2
    assert "".join(lines) == "x" * (5 * LONGEST) + "end"
