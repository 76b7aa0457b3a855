"""Names of methods of apps."""

import pytest

from daprflow.sidecar.method_names import cleaned, problem_of


@pytest.mark.row("R-22")
@pytest.mark.parametrize(
    ("method", "left"),
    [
        ("", ""),
        (".", ""),
        ("..", ""),
        ("/", "/"),
        ("a", "a"),
        ("a/", "a"),
        ("a//b", "a/b"),
        ("//a", "/a"),
        ("a/./b/../c", "a/c"),
        ("../../a", "a"),
        ("/../a", "/a"),
        ("/pkg.Service/Method", "/pkg.Service/Method"),
    ],
)
def test_what_leads_nowhere_is_left_out(method: str, left: str) -> None:
    """As Go cleans a path, and no name leads out of the app."""
    assert cleaned(method) == left


@pytest.mark.row("R-22")
@pytest.mark.parametrize(
    ("method", "problem"),
    [
        ("a/b c", None),
        ("a?b", 'forbidden character: "a?b"'),
        ("a#b", 'forbidden character: "a#b"'),
        ("a\x01", 'control character at position 1: "a\\x01"'),
    ],
)
def test_what_a_name_may_not_hold(method: str, problem: str | None) -> None:
    """In the real runtime's words."""
    assert problem_of(method) == problem
