"""JSON as Go reads and writes it."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daprflow.protocol.gojson import (
    GoJsonError,
    decode_go,
    encode_go,
    format_float,
    normalise,
    normalise_whole,
)
from daprflow.protocol.state import BulkGet, StateItem


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("1.0", "1"),
        ("3.5", "3.5"),
        ("-0.0", "-0"),
        ("0", "0"),
        ("9007199254740993", "9007199254740992"),
        ("12345678901234567890", "12345678901234567000"),
        ("-12345678901234567890", "-12345678901234567000"),
        ("1e20", "100000000000000000000"),
        ("1e21", "1e+21"),
        ("1.5e300", "1.5e+300"),
        ("0.000001", "0.000001"),
        ("1e-7", "1e-7"),
        ("0.00000012345", "1.2345e-7"),
        ("-1.25e-9", "-1.25e-9"),
        ("5e-324", "5e-324"),
        ("123456789.125", "123456789.125"),
        ("1e3", "1000"),
        ("1.7976931348623157e308", "1.7976931348623157e+308"),
    ],
)
def test_numbers_are_float64(written: str, stored: str) -> None:
    """A number is written with the fewest digits that give the same float64, as Go does."""
    assert normalise(written.encode()) == stored.encode()


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        (b' { "b" : 1 , "a" : [ 1 , { "d":2,"c":3 } ] } ', b'{"a":[1,{"c":3,"d":2}],"b":1}'),
        (b"\"<a href='x'>&</a>\"", b"\"\\u003ca href='x'\\u003e\\u0026\\u003c/a\\u003e\""),
        (b'{"<":1}', b'{"\\u003c":1}'),
        ('"\u2028 \u2029 \u20ac"'.encode(), '"\\u2028 \\u2029 \u20ac"'.encode()),
        (b'"\\u0041\\/\\n\\u0001"', b'"A/\\n\\u0001"'),
        (b'{"a":1,"a":2}', b'{"a":2}'),
        (b'"\\ud800x"', '"\ufffdx"'.encode()),
        (b'"\\ud83d\\ude00"', '"\U0001f600"'.encode()),
        (b'"a\xffb"', '"a\ufffdb"'.encode()),
        (b"null", b"null"),
        (b"true", b"true"),
        (b'""', b'""'),
        (b"{}", b"{}"),
    ],
)
def test_values_are_written_anew(written: bytes, stored: bytes) -> None:
    """Keys are sorted, spaces go, markup characters and broken text are replaced."""
    assert normalise(written) == stored


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        (b"-0", b"-0"),
        (b"[-0,-0.5,-0e1]", b"[-0,-0.5,-0]"),
        (b'{"-0":"a-0,-0","b":"\\"-0"}', b'{"-0":"a-0,-0","b":"\\"-0"}'),
    ],
)
def test_minus_zero_keeps_its_sign(written: bytes, stored: bytes) -> None:
    """A negative zero is a float64 of its own; what looks like one in a string is left alone."""
    assert normalise(written) == stored


def test_a_number_beyond_float64_is_named() -> None:
    """The error names the number, and the field where one is given."""
    text = "json: cannot unmarshal number -1e400 into Go struct field A.b of type float64"
    with pytest.raises(GoJsonError, match=f"^{text}$"):
        normalise(b'{"a":"1e999","b":[1,-1e400]}', "A.b")
    with pytest.raises(GoJsonError, match="into Go value of type float64"):
        normalise(b"1e400")


@pytest.mark.parametrize("document", [b"{not json", b"", b"[1,]", b"1e999", b"[" * 20_000])
def test_what_is_not_json(document: bytes) -> None:
    """A document that Go refuses raises, however deep it is."""
    with pytest.raises(GoJsonError):
        normalise(document)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_keeps_its_value(number: float) -> None:
    """The text of a number reads back as the very same float64."""
    text = format_float(number)
    assert float(text) == number
    assert b"e0" not in text
    assert not text.endswith(b".0")


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON_VALUES)
def test_writing_anew_changes_no_value(value: object) -> None:
    """What is written anew reads as the same value, and writing it again changes nothing."""
    once = normalise(json.dumps(value).encode())
    assert json.loads(once) == value
    assert normalise(once) == once


def test_structs_keep_their_order() -> None:
    """Fields are written in the order of the struct, with markup characters escaped."""
    assert encode_go(StateItem("<k>", msgspec.Raw(b"1"))) == b'{"key":"\\u003ck\\u003e","value":1}'


items = msgspec.json.Decoder(tuple[StateItem, ...])
bulk = msgspec.json.Decoder(BulkGet)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "EOF"),
        (b"[", "unexpected EOF"),
        (b"{not json", "invalid character 'n' looking for beginning of object key string"),
        (b"{}", "json: cannot unmarshal object into Go value of type []state.SetRequest"),
        (b"1", "json: cannot unmarshal number into Go value of type []state.SetRequest"),
        (b'"x"', "json: cannot unmarshal string into Go value of type []state.SetRequest"),
        (b"[1]", "json: cannot unmarshal number into Go value of type state.SetRequest"),
        (
            b'[{"key":1}]',
            "json: cannot unmarshal number into Go struct field SetRequest.key of type string",
        ),
        (b"[" * 20_000, "unexpected EOF"),
    ],
)
def test_decoding_fails_in_gos_words(body: bytes, text: str) -> None:
    """A body of the wrong shape is refused with the text of Go's decoder."""
    with pytest.raises(GoJsonError) as error:
        decode_go(items, body, "[]state.SetRequest", "SetRequest")
    assert str(error.value) in {text, "exceeded max depth"}


@pytest.mark.parametrize(
    ("body", "keys"),
    [
        (b'{"keys":["a"]}', ("a",)),
        (b'{"keys":["a"]} trailing', ("a",)),
        (b'{"keys":["a\xff"]}', ("a\ufffd",)),
        (b'{"keys":["\\udc00"],"other":[{}]}', ("\ufffd",)),
        (b'{"Keys":["a",null]}', ("a", "")),
        (b'{"keys":["a"],"KEYS":["b"]}', ("b",)),
        (b'{"keys":null,"metadata":{"a":null}}', ()),
    ],
)
def test_decoding_takes_what_go_takes(body: bytes, keys: tuple[str, ...]) -> None:
    """What follows the first value, broken text, unknown fields, null and case are no errors."""
    assert decode_go(bulk, body, "x").keys == keys


def test_nested_fields_in_any_letters() -> None:
    """A field that an SDK writes in other letters is found, null leaves the zero value."""
    body = b'[{"KEY":"a","Value":null,"OPTIONS":{"Concurrency":"first-write"},"etag":null},null]'
    found = decode_go(items, body, "[]state.SetRequest", "SetRequest")
    assert found is not None
    assert [(item.key, bytes(item.value), item.etag) for item in found] == [
        ("a", b"null", None),
        ("", b"null", None),
    ]
    assert found[0].options is not None
    assert found[0].options.concurrency == "first-write"


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (b"", "unexpected end of JSON input"),
        (b"  ", "unexpected end of JSON input"),
        (b"{", "unexpected end of JSON input"),
        (b'"a', "unexpected end of JSON input"),
        (b'{"a":1}{', "invalid character '{' after top-level value"),
        (b"01", "invalid character '1' after top-level value"),
        (b"nul", "invalid character ' ' in literal null (expecting 'l')"),
        (b"1.", "invalid character ' ' after decimal point in numeric literal"),
        (b"1e400", "json: cannot unmarshal number 1e400 into Go value of type float64"),
        (b"[" * 20_000, "invalid character '[' exceeded max depth"),
    ],
)
def test_a_whole_document(written: bytes, text: str) -> None:
    """Where Go takes one whole document it says otherwise what is wrong than of a stream."""
    with pytest.raises(GoJsonError) as raised:
        normalise_whole(written)
    assert str(raised.value) == text


def test_a_sound_whole_document() -> None:
    """What is sound is written anew as ever, bytes that are no text included."""
    assert normalise_whole(b' {"b" : 1.0, "a": "<" }\n') == b'{"a":"\\u003c","b":1}'
    assert normalise_whole(b'"\xff"') == '"\ufffd"'.encode()
