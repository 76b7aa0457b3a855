"""How a run of several apps speaks."""

import io
import sys

import pytest

from daprflow.cli.fleet_voice import AppSpeaker, ConsoleFleetVoice, coloured
from daprflow.launcher.roll import Entry
from daprflow.launcher.sidecar import SidecarInfo

INFO = SidecarInfo("embedded sidecar", "why", 3500, 50001)


class Terminal(io.StringIO):
    """What says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_colours_are_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file gets none, nor does who set ``NO_COLOR`` or has a dumb terminal."""
    assert not coloured({})
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert coloured({})
    assert coloured({"NO_COLOR": ""})
    assert not coloured({"NO_COLOR": "1"})
    assert not coloured({"TERM": "dumb"})


def test_lines_bear_the_apps_name(capsys: pytest.CaptureFixture[str]) -> None:
    """An app's line is as it was, after the name; what is said about it names it."""
    speaker = AppSpeaker("shop", 7)
    speaker.output("a \x1b[1mbold\x1b[0m line")
    speaker.say("reloaded in 0.5 s")
    speaker.warn("the app ended\x07")
    shown = capsys.readouterr()
    assert shown.out == (
        "shop    | a \x1b[1mbold\x1b[0m line\ndaprflow: app 'shop': reloaded in 0.5 s\n"
    )
    assert shown.err == "daprflow: app 'shop': the app ended\N{REPLACEMENT CHARACTER}\n"


def test_lines_bear_the_id_once_it_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    """A replica of a target has its app's id from when the app has told it; the column stays."""
    speaker = AppSpeaker("replica-1", 9, "36")
    speaker.output("before")
    speaker.called("shop-1")
    speaker.output("after")
    speaker.say("reloaded in 0.5 s")
    assert capsys.readouterr().out.splitlines() == [
        "\x1b[36mreplica-1 | \x1b[0mbefore",
        "\x1b[36mshop-1    | \x1b[0mafter",
        "daprflow: app 'shop-1': reloaded in 0.5 s",
    ]


def test_the_table_says_what_is_where(capsys: pytest.CaptureFixture[str]) -> None:
    """Each app has its ports and its process; the last line counts who is healthy."""
    voice = ConsoleFleetVoice(["shop", "pricing"], {})
    voice.roll((Entry("shop", 8000, INFO, 77), Entry("pricing", None, INFO, 78)), 1.25)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[:3]] == [
        ["app", "port", "Dapr", "HTTP", "Dapr", "gRPC", "pid", "sidecar"],
        ["shop", "8000", "3500", "50001", "77", "embedded", "sidecar"],
        ["pricing", "3500", "50001", "78", "embedded", "sidecar"],
    ]
    assert lines[3] == "daprflow: all 2 healthy in 1.2 s; Ctrl-C ends them, twice at once"


def test_who_is_not_up_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """Where an app did not come up, or has ended already, the last line says which."""
    voice = ConsoleFleetVoice(["shop", "pricing"], {})
    voice.roll((Entry("shop", 8000, INFO, 77, ended=True), Entry("pricing", ended=True)), 3.0)
    shown = capsys.readouterr()
    assert [line.split()[-1] for line in shown.out.splitlines()] == ["sidecar", "ended", "up"]
    assert shown.err == "daprflow: 0 of 2 healthy after 3.0 s, not 'shop', 'pricing'\n"
