"""CEL over events."""

from collections.abc import Callable

import pytest

from daprflow.protocol.expressions import (
    LONGEST,
    ExpressionError,
    compile_counts,
    compile_expression,
    with_floats,
)

EVENT = with_floats(
    {"type": "widget", "id": "e-1", "data": {"k": 4, "kind": "gadget", "list": [1, 2], "f": 1.5}}
)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ('event.type == "widget"', True),
        ("event.data.k > 3", True),
        ("event.data.k == 4", True),
        ("event.data.k == 4.0 && event.data.f < 2", True),
        ('event.data.kind in ["gadget", "x"]', True),
        ("has(event.data.missing)", False),
        ("size(event.data.list) == 2", True),
        ("event.data.list[0] == 1", True),
        ("event.data.list.exists(n, n > 1)", True),
        ('event.type.matches("^w") && event.id.startsWith("e") && event.id.endsWith("1")', True),
        ('event["type"].contains("dg")', True),
        ("event.data.k > 9 ? false : true", True),
        ("event.data.missing == 1 || true", True),
    ],
)
def test_expressions(text: str, result: bool) -> None:  # noqa: FBT001 - a table's column
    """The standard environment over ``event``, whose numbers are doubles."""
    assert compile_expression(text).matches(EVENT) is result


@pytest.mark.parametrize("text", ["1 +", "", "event.type = 'x'", "((("])
def test_what_is_not_cel_is_refused(text: str) -> None:
    """In one line that names the expression."""
    with pytest.raises(ExpressionError, match="is not a CEL expression") as caught:
        compile_expression(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("compiled", [compile_expression, compile_counts])
@pytest.mark.parametrize("piece", ["ü", "#", "matches('(a+)+$')", "\udcff"])
def test_an_expression_that_is_too_long_is_refused_unread(
    compiled: Callable[[str], object], piece: str
) -> None:
    """In one line that says how long it is, how long it may be, and what to do."""
    text = "event.x." + piece * LONGEST
    size = len(text.encode(errors="surrogatepass"))
    with pytest.raises(ExpressionError, match=f"{size} bytes, and {LONGEST} are") as caught:
        compiled(text)
    assert str(caught.value).endswith("write a shorter one, or several rules")
    assert len(str(caught.value)) < 200


def test_the_longest_expression_there_may_be() -> None:
    """Its length is counted in bytes."""
    text = f'event.type == "{"ü" * 2000}"'
    text += " " * (LONGEST - len(text.encode()))
    assert compile_expression(text).matches(EVENT) is False
    with pytest.raises(ExpressionError, match="is a CEL expression of 4097 bytes"):
        compile_expression(text + " ")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("event.data.missing == 1", "no such key: missing"),
        ("event.type", "gave str, not true or false"),
        ("unknown == 1", "unknown"),
        ("event.data.k + 'x' == 1", "failed"),
    ],
)
def test_a_failure_is_not_a_no(text: str, reason: str) -> None:
    """Missing keys, type errors and results that are no bool are errors."""
    with pytest.raises(ExpressionError, match=reason):
        compile_expression(text).matches(EVENT)


def test_every_integer_becomes_a_float() -> None:
    """At any depth; what is no integer stays, and a huge one does not fail."""
    assert with_floats({"a": [1, {"b": 2}], "c": True, "d": "1", "e": 10**400}) == {
        "a": [1.0, {"b": 2.0}],
        "c": True,
        "d": "1",
        "e": float("inf"),
    }
    assert type(with_floats(1)) is float
    assert with_floats([True]) == [True]
