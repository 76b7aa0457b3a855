"""Names of actors, methods, timers and reminders that the runtime refuses."""

import pytest

from daprflow.protocol.actor_names import method_problem, name_problem, plain_method


@pytest.mark.parametrize("name", ["a", "a b", "a|b||c", "a@b", "ä.é", "..a", "%2F"])
def test_names(name: str) -> None:
    """Spaces, bars, dots and letters of any language are fine."""
    assert name_problem(name) == ""


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("a/b", 'name contains forbidden character: "a/b"'),
        ("a\\b", 'name contains forbidden character: "a\\\\b"'),
        ("a#", 'name contains forbidden character: "a#"'),
        ("..", 'name is a path traversal sequence: ".."'),
        ("é\n", 'name contains control character at position 2: "é\\n"'),
    ],
)
def test_refused_names(name: str, problem: str) -> None:
    """What could lead elsewhere is refused, and shown without doing harm."""
    assert name_problem(name) == problem


@pytest.mark.parametrize(("method", "good"), [("a/b", True), ("a?b", False), ("a\x7f", False)])
def test_methods(method: str, *, good: bool) -> None:
    """A method may have slashes, but nothing that ends a path."""
    assert (method_problem(method) == "") is good


@pytest.mark.row("S-11")
@pytest.mark.parametrize(
    ("method", "plain"),
    [("m", "m"), ("a//b", "a/b"), ("../../x", "x"), ("a/./b/..", "a"), ("..", ""), ("/a/", "/a")],
)
def test_plain_methods(method: str, plain: str) -> None:
    """Dots and empty parts are resolved, and nothing leads out."""
    assert plain_method(method) == plain
