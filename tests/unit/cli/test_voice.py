"""What commands print, where it cannot be written."""

import errno
import os
from pathlib import Path

import pytest

from daprflow.cli.voice import put

FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
def test_output_that_a_full_disk_does_not_take_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    """One line on standard error says so, once, and the program goes on."""
    with FULL.open("w", encoding="utf-8") as stream:
        put(stream, "a")
        put(stream, "b")
    told = f"daprflow: cannot write the output, which is lost: {os.strerror(errno.ENOSPC)}\n"
    assert capfd.readouterr() == ("", told)


def test_a_reader_that_has_gone_is_no_news(capfd: pytest.CaptureFixture[str]) -> None:
    """As with any other program before 'head'."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        put(stream, "a")
    assert capfd.readouterr() == ("", "")
