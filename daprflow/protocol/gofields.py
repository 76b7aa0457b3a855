"""Fits a document to a type as Go's encoding/json does; used only after a decoder failed."""

from typing import Any

__all__ = ["fit"]


def fit(value: Any, wanted: Any) -> Any:
    """Return ``value`` with the names that ``wanted`` has.

    A field's name may come in any letters, what has no field is left out, and null leaves what it
    stands for at its zero value. What has another type stays, for the decoder to refuse.

    Args:
        value: what a JSON decoder gave.
        wanted: the type it is for; structs and their parts are looked into.
    """
    from msgspec import inspect  # noqa: PLC0415 - only odd documents need it

    return _fit(value, inspect.type_info(wanted))


def _fit(value: Any, kind: Any) -> Any:
    from msgspec import inspect  # noqa: PLC0415 - loaded already

    if isinstance(kind, inspect.UnionType):
        if value is None and any(isinstance(part, inspect.NoneType) for part in kind.types):
            return None
        kind = next(part for part in kind.types if not isinstance(part, inspect.NoneType))
    if isinstance(kind, inspect.StructType):
        return {} if value is None else _fields(value, kind)
    if isinstance(kind, inspect.VarTupleType) and isinstance(value, list):
        return [_fit(item, kind.item_type) for item in value]
    if isinstance(kind, inspect.DictType) and isinstance(value, dict):
        return {name: _fit(item, kind.value_type) for name, item in value.items()}
    if isinstance(kind, inspect.StrType) and value is None:
        return ""
    return value


def _fields(value: Any, kind: Any) -> Any:
    from msgspec import inspect  # noqa: PLC0415 - loaded already

    if not isinstance(value, dict):
        return value
    exact = {field.encode_name: field for field in kind.fields}
    loose = {field.encode_name.lower(): field for field in kind.fields}
    fitted: dict[str, Any] = {}
    for name, item in value.items():
        field = exact.get(name) or loose.get(name.lower())
        if field is None or (item is None and not isinstance(field.type, inspect.RawType)):
            continue
        fitted[field.encode_name] = _fit(item, field.type)
    return fitted
