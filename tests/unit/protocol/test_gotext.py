"""JSON as Go prints it: each expectation is what Go 1.26's ``fmt`` printed."""

import pytest

from daprflow.protocol.gotext import text_of


@pytest.mark.parametrize(
    ("document", "text"),
    [
        (b'"te<xt"', "te<xt"),
        (b"null", "<nil>"),
        (b"true", "true"),
        (b"false", "false"),
        (b"0", "0"),
        (b"-0.0", "-0"),
        (b"1.50", "1.5"),
        (b"123456", "123456"),
        (b"1000000", "1e+06"),
        (b"123456789", "1.23456789e+08"),
        (b"0.00012", "0.00012"),
        (b"1.25e-5", "1.25e-05"),
        (b"1e100", "1e+100"),
        (b"9007199254740993", "9.007199254740992e+15"),
        (b'{"b": 1, "a": [1, "x", null, {"c": 2.50}]}', "map[a:[1 x <nil> map[c:2.5]] b:1]"),
        (b"[]", "[]"),
        (b"{}", "map[]"),
    ],
)
def test_text(document: bytes, text: str) -> None:
    """Each kind of value has Go's form."""
    assert text_of(document) == text
