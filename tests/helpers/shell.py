"""Runs commands of ``daprflow`` in this process, as a shell would: what they print, their codes."""

import sys
from io import BytesIO, TextIOWrapper
from typing import Any

import msgspec
import pytest

from daprflow.cli.main import main


def code_of(*words: str) -> int:
    """Run a command; return its exit code."""
    with pytest.raises(SystemExit) as caught:
        main(words)
    code = caught.value.code
    assert code is None or isinstance(code, int)
    return code or 0


class Shell:
    """Runs one command after the other.

    Attributes:
        out: what the last one printed.
        err: what it printed to standard error.
    """

    def __init__(self, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capfd = capfd
        self._monkeypatch = monkeypatch
        self.out = ""
        self.err = ""

    def __call__(self, *words: str, given: bytes | None = None) -> int:
        """Run a command; return its exit code.

        Args:
            words: the command line.
            given: its standard input.
        """
        if given is not None:
            self._monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(given)))
        self._capfd.readouterr()
        code = code_of(*words)
        self.out, self.err = self._capfd.readouterr()
        assert "Traceback" not in self.err
        return code

    def json(self, *words: str) -> Any:
        """Run a command with --json; return what it printed."""
        assert self(*words, "--json") == 0, self.err
        return msgspec.json.decode(self.out)

    def problem(self, *words: str) -> tuple[int, str, int]:
        """Run a command with --json that fails; return its exit code, its code and its status."""
        exit_code = self(*words, "--json")
        assert self.out == ""
        told = msgspec.json.decode(self.err)
        assert sorted(told) == ["code", "message", "status"]
        return exit_code, told["code"], told["status"]
