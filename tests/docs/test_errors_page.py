"""The page of errors has each one, with what to do."""

from daprflow.launcher.exits import Exit
from tests.docs.errors_page import EXITS, JOBS, PAGE, TODO, answers, codes, page
from tests.docs.public_names import errors, inner_errors


def test_the_page_is_made_from_the_code() -> None:
    """``python -m tests.docs.errors_page`` writes it."""
    assert PAGE.read_text(encoding="utf-8") == page()


def test_every_exported_error_says_what_to_do() -> None:
    """Each has its sentence, and no sentence is about one that is gone."""
    assert sorted(TODO) == sorted(each.__name__ for each in errors())


def test_errors_that_are_not_exported_can_be_caught() -> None:
    """Each of those is one that users know."""
    known = tuple(errors())
    assert [each for each in inner_errors() if not issubclass(each, known)] == []
    assert "CircuitOpen" in {each.__name__ for each in inner_errors()}


def test_every_exit_code_has_a_meaning() -> None:
    """The page of the commands has the same numbers, and says the same of each."""
    assert set(EXITS) == set(Exit)
    text = (PAGE.parent / "cli.md").read_text(encoding="utf-8").partition("## Exit codes")[2]
    missing = [each for each in Exit if not any(f"| {cell}" in text for cell in _cells(each))]
    assert missing == []
    told = {each: words for each, words in EXITS.items() if each.value not in {126, 127}}
    assert [each for each, words in told.items() if f"| {each.value} | {words} |" not in text] == []


def _cells(code: Exit) -> tuple[str, str]:
    return f"{code.value} |", "126, 127 |" if code.value in {126, 127} else f"{code.value},"


def test_every_code_of_the_sidecar_is_told_of() -> None:
    """A code that stands in the sidecar's code has a row that says what it is about."""
    rows = list(answers())
    assert codes() - {each.code for each in rows} == set()
    assert set(JOBS) - codes() == set()
    assert [each for each in rows if not each.text] == []
