"""What the comparison writes: blocks of a page, and plots."""

import re
from pathlib import Path
from xml.parsers import expat

import pytest

from benchmarks.compare import charts, command, page
from benchmarks.compare.command import PAGE, SECTIONS, main
from benchmarks.compare.environments import Environments
from benchmarks.compare.results import Comparison, Curve, Group, Row
from benchmarks.compare.stage import Stage
from benchmarks.processes import BenchmarkError

DONE = Comparison(
    "delivery",
    "Events",
    "About.",
    [
        Group("delivery", "events/s", [Row("daprflow", [2.0, 3.0]), Row("peer", [1.0, 1.5])]),
        Curve("memory", "MiB", "keys", {"daprflow": {1_000: [1.0], 10_000: [2.0]}}),
        Group("nothing", "events/s", [Row("daprflow", note="it failed: refused")]),
    ],
)


def test_a_block_replaces_what_stood_between_its_markers() -> None:
    """The rest of the page, and other blocks, stay as they are."""
    text = "head\n<!-- compare:a -->\nold\n<!-- /compare:a -->\nmiddle\n<!-- compare:b -->\nkept"
    done = page.replaced(text, "a", "new \\1\n")
    expected = "head\n<!-- compare:a -->\n\nnew \\1\n\n<!-- /compare:a -->\nmiddle\n"
    assert done == f"{expected}<!-- compare:b -->\nkept"
    assert page.replaced(done, "a", "new \\1\n") == done


def test_a_block_without_markers_is_added(tmp_path: Path) -> None:
    """A new section finds its place at the end, and a new page is begun."""
    target = tmp_path / "page.md"
    page.write(target, [("a", "one"), ("b", "two")])
    page.write(target, [("a", "three")])
    text = target.read_text(encoding="utf-8")
    assert text.index("three") < text.index("two")
    assert "one" not in text


def test_the_page_has_a_place_for_every_section() -> None:
    """Markers of all sections stand on the page, in the order of the sections."""
    text = PAGE.read_text(encoding="utf-8")
    places = [text.index(f"<!-- compare:{name} -->") for name in (page.FIGURES, *SECTIONS)]
    assert places == sorted(places)


def test_a_plot_is_written_as_text_that_suits_light_and_dark(tmp_path: Path) -> None:
    """A plot is a whole SVG file without a background, whose text follows the page's colours."""
    (target,) = charts.write(DONE, tmp_path / "images")
    text = target.read_text(encoding="utf-8")
    whole = True
    expat.ParserCreate().Parse(text, whole)  # raises where it is no XML
    words = re.findall(r"<text[^>]*>([^<]*)</text>", text)
    assert "daprflow" in words
    assert any("more is better" in word for word in words)
    assert charts.INK not in text
    assert "prefers-color-scheme:dark" in text
    assert "#ffffff" not in text


def test_the_same_results_give_the_same_file(tmp_path: Path) -> None:
    """A plot has no date and no random names, so that a change of it is a change of figures."""
    first, second = (charts.write(DONE, tmp_path / name)[0].read_bytes() for name in "ab")
    assert first == second


def test_nothing_is_drawn_of_nothing(tmp_path: Path) -> None:
    """A section where everything failed has no plot."""
    assert charts.write(Comparison("x", "X", "", DONE.parts[2:]), tmp_path) == []


def test_a_missing_library_is_told_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Without matplotlib the command ends at once, with the line that installs it."""
    monkeypatch.setattr(charts, "available", lambda: False)
    with pytest.raises(SystemExit):
        main(["--page", str(tmp_path / "page.md")])
    assert "pip install -e . --group benchmarks" in capsys.readouterr().err


def test_unknown_sections_and_runtimes_are_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """What is not there is named, before anything is measured."""
    for arguments, said in (
        (["speed"], "no section named speed"),
        (["--runtime", str(tmp_path)], "there is no .dapr/bin/daprd in"),
    ):
        with pytest.raises(SystemExit):
            main(arguments)
        assert said in capsys.readouterr().err


def test_a_section_that_fails_is_measured_once_more(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A section that works the second time is written; one that fails twice makes the code 2."""
    target = tmp_path / "page.md"
    calls: list[str] = []

    def second_time(_: Stage) -> Comparison:
        calls.append("second")
        if len(calls) == 1:
            raise BenchmarkError("a port was taken")
        return DONE

    def never(_: Stage) -> Comparison:
        raise BenchmarkError("no server came up")

    monkeypatch.setattr(command, "SECTIONS", {"delivery": second_time, "client": never})
    monkeypatch.setattr(command, "prepare", lambda _: Environments({}))
    monkeypatch.setattr(command, "busy_share", lambda: 0.5)
    monkeypatch.delenv("DAPR_RUNTIME_PATH", raising=False)
    flags = ["--no-plots", "--page", str(target), "--redis", "127.0.0.1:1"]
    assert main(flags) == 2
    assert calls == ["second", "second"]
    text = target.read_text(encoding="utf-8")
    assert "| daprflow | 0.1.0" in text
    assert "Other work kept the machine 50% busy" in text
    assert "no server came up" in capsys.readouterr().out
