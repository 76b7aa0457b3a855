"""The error texts of Go's JSON scanner."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daprflow.protocol.goscan import explain, first_value


@pytest.mark.parametrize(
    ("document", "text"),
    [
        (b"", "EOF"),
        (b" \n", "EOF"),
        (b"{", "unexpected EOF"),
        (b'{"a":1', "unexpected EOF"),
        (b'"abc', "unexpected EOF"),
        (b"tru", "unexpected EOF"),
        (b"-", "unexpected EOF"),
        (b"x", "invalid character 'x' looking for beginning of value"),
        (b"'", "invalid character '\\'' looking for beginning of value"),
        (b"\xc3\xa9", "invalid character '\u00c3' looking for beginning of value"),
        (b"\x00", "invalid character '\\x00' looking for beginning of value"),
        (b"\x0b", "invalid character '\\v' looking for beginning of value"),
        (b"\x7f", "invalid character '\\x7f' looking for beginning of value"),
        (b"\x85", "invalid character '\\u0085' looking for beginning of value"),
        (b"\\", "invalid character '\\\\' looking for beginning of value"),
        (b"[1,]", "invalid character ']' looking for beginning of value"),
        (b"[1 2]", "invalid character '2' after array element"),
        (b"{not", "invalid character 'n' looking for beginning of object key string"),
        (b'{"a":1,}', "invalid character '}' looking for beginning of object key string"),
        (b'{"a" 1}', "invalid character '1' after object key"),
        (b'{"a":1 "b"}', "invalid character '\"' after object key:value pair"),
        (b'{"a":[1}', "invalid character '}' after array element"),
        (b'"\n"', "invalid character '\\n' in string literal"),
        (b'"\\q"', "invalid character 'q' in string escape code"),
        (b'"\\u00g0"', "invalid character 'g' in \\u hexadecimal character escape"),
        (b"-x", "invalid character 'x' in numeric literal"),
        (b"1.x", "invalid character 'x' after decimal point in numeric literal"),
        (b"1ex", "invalid character 'x' in exponent of numeric literal"),
        (b"[1e+]", "invalid character ']' in exponent of numeric literal"),
        (b"trux", "invalid character 'x' in literal true (expecting 'e')"),
        (b"nuLl", "invalid character 'L' in literal null (expecting 'l')"),
        (b"[01]", "invalid character '1' after array element"),
        (b"[" * 10_001, "invalid character '[' exceeded max depth"),
    ],
)
def test_refused(document: bytes, text: str) -> None:
    """A document that Go refuses is explained in its words."""
    assert explain(document) == text


@pytest.mark.parametrize(
    "document",
    [
        b"1",
        b" [ ] ",
        b'{"a":{"b":[true,false,null,-0.5e+10]}}',
        b'"\\"\\u00e9"',
        b"[" * 9999 + b"]" * 9999,
    ],
)
def test_accepted(document: bytes) -> None:
    """A document that Go takes needs no explanation."""
    assert explain(document) is None
    assert first_value(document).strip() == document.strip()


@pytest.mark.parametrize("tail", [b"", b" ", b"x", b" {", b"\x00"])
def test_what_follows_is_not_looked_at(tail: bytes) -> None:
    """Only the first value of a document counts."""
    assert explain(b'{"a":1}' + tail) is None
    assert first_value(b'{"a":1}' + tail) == b'{"a":1}'


@given(st.binary(max_size=60))
def test_anything_gets_an_answer(document: bytes) -> None:
    """Whatever the bytes are, there is a text of one line or the document is well-formed."""
    text = explain(document)
    assert text is None or (text and "\n" not in text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    )
)
def test_every_json_document_is_accepted(value: object) -> None:
    """Whatever a JSON encoder writes is taken."""
    assert explain(json.dumps(value).encode()) is None
