"""What type checkers accept and refuse of the public API."""

import re
from pathlib import Path

import pytest
from mypy import api

from tests.docs.docstring_examples import module

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RIGHT = sorted(HERE.glob("accepted*.py"))
WRONG = sorted(HERE.glob("rejected*.py"))
SHOWN = "shown_in_docstrings.py"
"""The examples in docstrings, as one module."""
Reported = dict[str, dict[int, set[str]]]


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Reported:
    """What mypy reports: per file the error codes of each line."""
    cache = tmp_path_factory.mktemp("mypy")
    shown = cache / SHOWN
    shown.write_text(module().text, encoding="utf-8")
    out, problems, _ = api.run(
        [
            "--config-file",
            str(ROOT / "pyproject.toml"),
            "--cache-dir",
            str(cache),
            "--no-error-summary",
            "--hide-error-context",
            "--no-pretty",
            "--exclude",
            "^$",
            *map(str, (*RIGHT, *WRONG, shown)),
        ]
    )
    assert problems == ""
    found: Reported = {}
    for line in out.splitlines():
        match = re.match(r"(.+?):(\d+): error: .*\[([a-z-]+)\]$", line)
        if match:
            lines = found.setdefault(Path(match[1]).name, {})
            lines.setdefault(int(match[2]), set()).add(match[3])
    return found


def expected(file: Path) -> dict[int, set[str]]:
    """The lines of a file that say they are refused, with the codes."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return {
        number: set(line.partition("# refused: ")[2].split(", "))
        for number, line in enumerate(lines, 1)
        if "# refused: " in line
    }


@pytest.mark.parametrize("file", RIGHT, ids=lambda each: each.stem)
def test_right_uses_are_accepted(reported: Reported, file: Path) -> None:
    """Mypy has nothing to say of the right uses."""
    assert reported.get(file.name, {}) == {}


@pytest.mark.parametrize("file", WRONG, ids=lambda each: each.stem)
def test_misuses_are_refused(reported: Reported, file: Path) -> None:
    """Mypy refuses exactly the misuses, each for its reason."""
    assert reported.get(file.name, {}) == expected(file)


def test_examples_in_docstrings_are_accepted(reported: Reported) -> None:
    """What an editor shows of a public name can be typed as it stands."""
    about = module().about
    assert {about.get(line, "the preamble") for line in reported.get(SHOWN, {})} == set()


def test_nothing_else_is_reported(reported: Reported) -> None:
    """The package itself is clean under the same run."""
    assert set(reported) <= {SHOWN, *(each.name for each in WRONG)}
