"""Random identifiers."""

import os

_VERSION_4 = (0x4 << 76) | (0x2 << 62)
_FREE_BITS = ~((0xF << 76) | (0x3 << 62)) & ((1 << 128) - 1)


def new_id() -> str:
    """Return a random UUID (version 4) as text."""
    number = int.from_bytes(os.urandom(16)) & _FREE_BITS | _VERSION_4
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
