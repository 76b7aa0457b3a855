"""Values as Go's ``fmt`` prints them with ``%v``, where the runtime makes text of JSON."""

from decimal import Decimal
from typing import Any

import msgspec

_SMALLEST, _LARGEST = -4, 6
_decode = msgspec.json.Decoder().decode


def text_of(document: bytes) -> str:
    """Return the JSON ``document`` as Go prints what it decodes from it."""
    return _printed(_decode(document))


def _printed(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{_printed(value[key])}' for key in sorted(value))}]"
    if isinstance(value, list):
        return f"[{' '.join(map(_printed, value))}]"
    return _number(float(value))


def _number(value: float) -> str:
    """Print a double: shortest digits, with an exponent below -4 and from 6 on."""
    mantissa, _, exponent = f"{Decimal(repr(value)).normalize():e}".partition("e")
    if _SMALLEST <= int(exponent) < _LARGEST:
        return repr(value).removesuffix(".0")
    return f"{mantissa}e{int(exponent):+03d}"
