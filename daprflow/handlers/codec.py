"""How payloads become bytes and back: msgspec's types, and pydantic models where they occur."""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import inspect as types

from daprflow.addresses import type_name

_ENCODED_BASES = (dict, list, tuple, set, frozenset, str, bytes)


def encode_other(value: Any) -> Any:
    """Turn a pydantic model into what msgspec can encode.

    Raises:
        TypeError: the value is something else.
    """
    dump = getattr(value, "model_dump", None)
    if dump is None:
        raise TypeError(f"a value of type '{type_name(type(value))}' cannot be encoded as JSON")
    return dump(mode="json", by_alias=True)


encode: Callable[[Any], bytes] = msgspec.json.Encoder(enc_hook=encode_other).encode


def decoder(payload: Any) -> msgspec.json.Decoder[Any]:
    """Return a JSON decoder for ``payload``."""
    return msgspec.json.Decoder(payload, dec_hook=decode_other)


def decode_other(wanted: type[Any], value: Any) -> Any:
    """Decode a type msgspec leaves to us: a pydantic model, wherever it is nested.

    Raises:
        ValueError: the value does not fit; the text holds no part of it.
    """
    if isinstance(value, wanted):
        return value
    validate: Callable[[bytes], Any] | None = getattr(wanted, "model_validate_json", None)
    if validate is None:
        raise ValueError(f"Expected `{type_name(wanted)}`, got `{type_name(type(value))}`")
    try:
        return validate(msgspec.json.encode(value))
    except ValueError as error:
        raise ValueError(_without_input(error)) from None


def nothing_more(_: Any) -> bool:
    """Know no further types: the ``known`` of who registered none."""
    return False


def undecodable(payload: Any, known: Callable[[Any], bool] = nothing_more) -> str:
    """Return why no JSON can become ``payload``; empty when it can.

    ``known`` tells which classes that msgspec leaves to us have a codec.
    """
    try:
        found = types.type_info(payload)
        msgspec.json.Decoder(payload)
    except (TypeError, ValueError, NameError) as error:
        return str(error)
    for custom in _custom_types(found, set()):
        if not (known(custom) or hasattr(custom, "model_validate_json")):
            return _foreign(custom)
    return ""


def unencodable(answer: Any, known: Callable[[Any], bool] = nothing_more) -> str:
    """Return why a value of type ``answer`` can never be sent; empty when it may be.

    More can be sent than read back, such as a union of two Structs, so only classes that no
    encoder knows are refused.
    """
    try:
        found = types.type_info(answer)
    except (TypeError, ValueError, NameError):
        return ""
    for custom in _custom_types(found, set()):
        if not (known(custom) or _may_be_encoded(custom)):
            return _foreign(custom)
    return ""


def is_foreign(payload: Any) -> bool:
    """Whether msgspec leaves a class to its hooks."""
    return isinstance(types.type_info(payload), types.CustomType)


def _foreign(custom: Any) -> str:
    return (
        f"'{type_name(custom)}' is no msgspec Struct, dataclass, TypedDict, attrs class, "
        "builtin or pydantic model, and has no codec; register one: "
        "DaprFlow(..., codecs=Codecs(JsonCodec(...)))"
    )


def _may_be_encoded(custom: Any) -> bool:
    return (
        hasattr(custom, "model_dump")
        or not isinstance(custom, type)
        or issubclass(custom, _ENCODED_BASES)
        or bool(getattr(custom, "__abstractmethods__", ()) or getattr(custom, "_is_protocol", ()))
    )


def _custom_types(found: Any, seen: set[int]) -> list[Any]:
    """Walk a type's description and collect what msgspec cannot decode by itself."""
    if id(found) in seen:
        return []
    seen.add(id(found))
    if isinstance(found, types.CustomType):
        return [] if found.cls is object else [found.cls]
    if isinstance(found, tuple | list):
        return [custom for item in found for custom in _custom_types(item, seen)]
    if isinstance(found, types.Type | types.Field):
        parts = (getattr(found, name) for name in found.__struct_fields__)
        return [
            custom
            for part in parts
            if isinstance(part, types.Type | types.Field | tuple)
            for custom in _custom_types(part, seen)
        ]
    return []


def _without_input(error: ValueError) -> str:
    """Describe a validation error by place and rule; its own text would quote the payload."""
    errors = getattr(error, "errors", None)
    if errors is None:
        return type(error).__name__
    found = errors(include_input=False, include_url=False, include_context=False)
    return "; ".join(f"{'.'.join(map(str, each['loc'])) or '$'}: {each['msg']}" for each in found)
