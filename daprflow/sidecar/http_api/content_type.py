"""The content type of an answer that has none: what Go's HTTP server makes of its first bytes."""

import re
from typing import Final

_LOOKED_AT = 512
_SPACE = b"\t\n\x0c\r "
_TAGS = b"!DOCTYPE HTML|HTML|HEAD|SCRIPT|IFRAME|H1|DIV|FONT|TABLE|A|STYLE|TITLE|B|BODY|BR|P|!--"
_HTML = re.compile(b"<(?:" + _TAGS + b")[ >]", re.IGNORECASE)
_BINARY = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")
_MP4_BOX = 12
_MP4_BRAND = 4

TEXT: Final = b"text/plain; charset=utf-8"
BYTES: Final = b"application/octet-stream"

_STARTS: Final = (
    (b"%PDF-", b"application/pdf"),
    (b"%!PS-Adobe-", b"application/postscript"),
    (b"\xfe\xff", b"text/plain; charset=utf-16be"),
    (b"\xff\xfe", b"text/plain; charset=utf-16le"),
    (b"\xef\xbb\xbf", TEXT),
    (b"\x00\x00\x01\x00", b"image/x-icon"),
    (b"\x00\x00\x02\x00", b"image/x-icon"),
    (b"BM", b"image/bmp"),
    (b"GIF87a", b"image/gif"),
    (b"GIF89a", b"image/gif"),
    (b"\x89PNG\r\n\x1a\n", b"image/png"),
    (b"\xff\xd8\xff", b"image/jpeg"),
    (b"ID3", b"audio/mpeg"),
    (b"OggS\x00", b"application/ogg"),
    (b"MThd\x00\x00\x00\x06", b"audio/midi"),
    (b"\x1aE\xdf\xa3", b"video/webm"),
    (b"\x00\x01\x00\x00", b"font/ttf"),
    (b"OTTO", b"font/otf"),
    (b"ttcf", b"font/collection"),
    (b"wOFF", b"font/woff"),
    (b"wOF2", b"font/woff2"),
    (b"\x1f\x8b\x08", b"application/x-gzip"),
    (b"PK\x03\x04", b"application/zip"),
    (b"Rar!\x1a\x07\x00", b"application/x-rar-compressed"),
    (b"Rar!\x1a\x07\x01\x00", b"application/x-rar-compressed"),
    (b"\x00asm", b"application/wasm"),
)
_CONTAINERS: Final = {
    (b"RIFF", b"WEBPVP"): b"image/webp",
    (b"RIFF", b"AVI "): b"video/avi",
    (b"RIFF", b"WAVE"): b"audio/wave",
    (b"FORM", b"AIFF"): b"audio/aiff",
}


def content_type_of(data: bytes) -> bytes:
    """Return what a body that begins with ``data`` is, by the WHATWG rules that Go follows."""
    data = data[:_LOOKED_AT]
    text = data.lstrip(_SPACE)
    if _HTML.match(text):
        return b"text/html; charset=utf-8"
    if text.startswith(b"<?xml"):
        return b"text/xml; charset=utf-8"
    for start, kind in _STARTS:
        if data.startswith(start):
            return kind
    for (outer, inner), kind in _CONTAINERS.items():
        if data.startswith(outer) and data.startswith(inner, 8):
            return kind
    if _is_mp4(data):
        return b"video/mp4"
    return BYTES if _BINARY.search(text) else TEXT


def _is_mp4(data: bytes) -> bool:
    size = int.from_bytes(data[:_MP4_BRAND])
    if len(data) < _MP4_BOX or len(data) < size or size % _MP4_BRAND or data[4:8] != b"ftyp":
        return False
    brands = range(8, size, _MP4_BRAND)
    return any(at != _MP4_BOX and data[at : at + 3] == b"mp4" for at in brands)
