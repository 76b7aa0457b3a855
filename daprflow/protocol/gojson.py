"""JSON as Go's encoding/json reads and writes it: number forms, escapes, key order, error texts."""

import math
import re
from typing import Any, TypeVar

import msgspec

from daprflow.protocol.gofields import fit
from daprflow.protocol.goscan import explain, explain_whole, first_value

__all__ = [
    "GoJsonError",
    "canonical",
    "compact",
    "decode_go",
    "encode_go",
    "format_float",
    "normalise",
    "normalise_whole",
]

T = TypeVar("T")

_EXACT = 2**53
# Compiled by their first use: only odd documents need them, and everybody imports this module.
_SURROGATES = (
    rb"(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)
_plain = msgspec.json.Decoder()
_sorted = msgspec.json.Encoder(order="sorted")
_STRING = rb'("(?:[^"\\]|\\.)*")'
_MINUS_ZERO = _STRING + rb"|-0(?![0-9.eE])"  # read as an integer it would lose its sign
_NUMBER = _STRING + rb"|(-?[0-9][0-9.eE+-]*)"
_OUT_OF_RANGE = "Number out of range"
_MISMATCH = r"Expected `(?P<expected>[^`]*)`, got `(?P<got>[^`]*)`(?: - at `(?P<path>.*)`)?$"
_GO_KIND = {"int": "number", "float": "number", "str": "string", "null": "null"}
_GO_TYPE = {"str": "string", "int": "int", "object": "map[string]string", "bool": "bool"}


class GoJsonError(ValueError):
    """A document that Go would refuse; the text is Go's."""


def encode_go(value: object) -> bytes:
    """Encode ``value`` with the characters escaped that Go escapes.

    The order of struct fields stays, and so does that of dicts.
    """
    return _escape(msgspec.json.encode(value))


def normalise(raw: bytes | msgspec.Raw, field: str = "") -> bytes:
    """Return the JSON ``raw`` as Go's decoder and encoder would hand it on.

    Object keys are sorted, numbers are float64 (``1.0`` becomes ``1``), ``<>&`` are escaped,
    insignificant space is gone.

    Args:
        raw: the document.
        field: Go's name of the struct and the field that hold it, for its error text.

    Raises:
        GoJsonError: it is not JSON, or has a number that is no float64.
    """
    text = bytes(raw)
    if b"-0" in text:
        text = re.sub(_MINUS_ZERO, lambda found: found[1] or b"-0.0", text)
    try:
        return _escape(canonical(text))
    except GoJsonError as problem:
        if not str(problem).startswith(_OUT_OF_RANGE):
            raise
        place = f"struct field {field}" if field else "value"
        raise GoJsonError(
            f"json: cannot unmarshal number {_too_large(text)} into Go {place} of type float64"
        ) from None


def normalise_whole(raw: bytes) -> bytes:
    """As `normalise`, where Go takes one whole document: what follows the value is an error.

    Raises:
        GoJsonError: it is not JSON, or has a number that is no float64.
    """
    try:
        _plain.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        reason = explain_whole(raw)
        if reason is not None:
            raise GoJsonError(reason) from None
    return normalise(raw)


def compact(raw: bytes | msgspec.Raw) -> bytes:
    """Return the JSON ``raw`` as Go's encoder writes what it was given as JSON.

    Insignificant space is gone and ``<>&`` are escaped; nothing else changes.
    """
    return _escape(msgspec.json.format(bytes(raw), indent=-1))


def canonical(raw: bytes | msgspec.Raw) -> bytes:
    """As `normalise`, without escapes: the form in which protobuf hands on a JSON value.

    Raises:
        GoJsonError: it is not JSON.
    """
    value = _read(bytes(raw))
    try:
        return _sorted.encode(_float64(value))
    except RecursionError:
        raise GoJsonError("exceeded max depth") from None


def decode_go(decoder: msgspec.json.Decoder[T], body: bytes, go_type: str, fields: str = "") -> T:
    """Decode ``body`` as Go's stream decoder does, failing in its words.

    Args:
        decoder: what to decode into; its structs forbid unknown fields, for that is how a name
            in other letters is noticed (SDKs send ``entryID`` for ``entryId``).
        body: the document; what follows its first value is not looked at.
        go_type: Go's name of the outermost type, for its error text.
        fields: Go's name of the struct whose fields are named in its error text.

    Raises:
        GoJsonError: the body is not what ``decoder`` takes.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError:
        return _decode_loosely(decoder, body, go_type, fields)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        mended = _mended(body, problem)
    return decode_go(decoder, mended, go_type, fields)


def _decode_loosely(decoder: msgspec.json.Decoder[T], body: bytes, go_type: str, fields: str) -> T:
    """Decode what does not fit at once: Go ignores case, unknown fields and nulls."""
    value = _read(body)  # Go scans a document to its end before it looks at types
    try:
        return decoder.decode(msgspec.json.encode(fit(value, decoder.type)))
    except msgspec.ValidationError as problem:
        raise GoJsonError(_mismatch_text(str(problem), go_type, fields)) from None


def format_float(number: float) -> bytes:
    """Return ``number`` as Go's encoder writes a float64: shortest digits, exponent from 1e21."""
    size = abs(number)
    text = repr(number)
    if size != 0 and (size < 1e-6 or size >= 1e21):  # noqa: PLR2004 - the limits of Go's encoder
        mantissa, _, exponent = text.partition("e")
        if not exponent:
            mantissa, exponent = _scientific(text)
        sign = "-" if exponent.startswith("-") else "+"
        digits = exponent.lstrip("+-").lstrip("0")
        return f"{mantissa.removesuffix('.0')}e{sign}{digits}".encode()
    if "e" in text:
        text = _positional(text)
    return text.removesuffix(".0").encode()


def _read(raw: bytes) -> Any:
    try:
        return _plain.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        mended = _mended(raw, problem)
    return _read(mended)


def _mended(raw: bytes, problem: Exception) -> bytes:
    """Return a form that msgspec takes of a document that Go takes; else raise `GoJsonError`."""
    if isinstance(problem, RecursionError):
        raise GoJsonError("exceeded max depth")
    reason = explain(raw)
    if reason is not None:
        raise GoJsonError(reason)
    first = first_value(raw).decode("utf-8", "replace").encode()
    mended = re.sub(_SURROGATES, lambda found: found[1] or b"\\ufffd", first)
    if mended == raw:
        raise GoJsonError(str(problem))
    return mended


def _too_large(text: bytes) -> str:
    """Return the first number that is beyond float64."""
    numbers = (found[2].decode() for found in re.finditer(_NUMBER, text) if found[2])
    return next((number for number in numbers if abs(float(number)) == math.inf), "")


def _float64(value: Any) -> Any:
    """Replace what Go would write otherwise; most values pass through untouched."""
    kind = type(value)
    if kind is dict:
        return {key: _float64(item) for key, item in value.items()}
    if kind is list:
        return [_float64(item) for item in value]
    if kind is float:
        return msgspec.Raw(format_float(value))
    if kind is int and not -_EXACT <= value <= _EXACT:
        return msgspec.Raw(format_float(float(value)))
    return value


def _escape(text: bytes) -> bytes:
    if b"<" in text or b">" in text or b"&" in text:
        text = text.replace(b"<", b"\\u003c").replace(b">", b"\\u003e").replace(b"&", b"\\u0026")
    if b"\xe2\x80" in text:
        text = text.replace(b"\xe2\x80\xa8", b"\\u2028").replace(b"\xe2\x80\xa9", b"\\u2029")
    return text


def _scientific(text: str) -> tuple[str, str]:
    sign = "-" if text.startswith("-") else ""
    whole, _, fraction = text.lstrip("-").partition(".")
    digits = (whole + fraction).lstrip("0").rstrip("0")
    lead = len(whole.lstrip("0")) - 1
    if lead < 0:
        lead = -(len(fraction) - len(fraction.lstrip("0"))) - 1
    mantissa = digits[0] + ("." + digits[1:] if len(digits) > 1 else "")
    return sign + mantissa, str(lead)


def _positional(text: str) -> str:
    mantissa, _, exponent = text.partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits, point = whole + fraction, len(whole) + int(exponent)
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    return f"{sign}{digits.ljust(point, '0')[:point]}.{digits[point:] or '0'}"


def _mismatch_text(text: str, go_type: str, fields: str) -> str:
    found = re.match(_MISMATCH, text)
    if found is None:
        return f"json: cannot unmarshal into Go value of type {go_type}: {text}"
    got = _GO_KIND.get(found["got"], found["got"])
    path = found["path"] or "$"
    names = [name for name in re.split(r"[.\[\]]+", path)[1:] if name.strip("0123456789.")]
    expected = found["expected"].split(" | ")[0]
    if names:
        kind = _GO_TYPE.get(expected, expected)
        return (
            f"json: cannot unmarshal {got} into Go struct field {fields}.{names[-1]} of type {kind}"
        )
    inner = go_type.removeprefix("[]") if "[" in path else go_type
    return f"json: cannot unmarshal {got} into Go value of type {inner}"
