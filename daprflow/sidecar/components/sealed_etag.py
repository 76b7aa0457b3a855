"""ETags that hold a checksum of the row that they stand in, so that a damaged row is noticed.

An ETag of ours is a UUID of version 8, the one that is free in form: 90 random bits, and a CRC-32
of all else in its row. A real store makes those of version 4, and changes the ETag with each write,
so that its rows are never taken for damaged ones; as are those that came before there were sums.
"""

import os
import re
import zlib

_VERSION_8 = (0x8 << 44) | (0x2 << 30)
_FREE_BITS = ~((0xF << 44) | (0x3 << 30)) & ((1 << 96) - 1)
_UUID = 36
_SUM = 8
_OTHERS = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[1-7][0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)


def sealed_etag(key: str, value: bytes, is_binary: int, expires: str | None) -> str:
    """Return a new ETag for a row.

    Args:
        key: of the row.
        value: as it stands in the table, encoded.
        is_binary: whether that is base64.
        expires: as it stands in the table.
    """
    number = int.from_bytes(os.urandom(12)) & _FREE_BITS | _VERSION_8
    text = f"{number:024x}"
    head = f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
    return f"{head}{_sum(head, key, value, is_binary, expires):08x}"


def is_sound(etag: str, key: str, value: bytes, is_binary: int, expires: str | None) -> bool:
    """Whether a row is as it was written, as far as its ETag can tell.

    An ETag that is no UUID, or one of another version, is somebody else's and tells nothing.
    """
    if len(etag) != _UUID or _OTHERS.fullmatch(etag):
        return True
    head = etag[:-_SUM]
    return etag[-_SUM:] == f"{_sum(head, key, value, is_binary, expires):08x}"


def _sum(head: str, key: str, value: bytes, is_binary: int, expires: str | None) -> int:
    rest = f"{head}\n{is_binary}\n{expires}\n{len(key)}\n{key}"
    return zlib.crc32(value, zlib.crc32(rest.encode(errors="surrogatepass")))
