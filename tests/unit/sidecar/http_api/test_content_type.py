"""What an answer without a content type is called."""

import pytest

from daprflow.sidecar.http_api.content_type import content_type_of


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b'{"a":1}', "text/plain; charset=utf-8"),
        (b"hello", "text/plain; charset=utf-8"),
        ("grüß".encode(), "text/plain; charset=utf-8"),
        (b"\xef\xbb\xbfhello", "text/plain; charset=utf-8"),
        (b"\xff\xfea\x00", "text/plain; charset=utf-16le"),
        (b"<html><body>x</body></html>", "text/html; charset=utf-8"),
        (b"\n  <!doctype html>", "text/html; charset=utf-8"),
        (b"<!-- a -->", "text/html; charset=utf-8"),
        (b"<order>1</order>", "text/plain; charset=utf-8"),
        (b"<p", "text/plain; charset=utf-8"),
        (b"<?xml version='1.0'?><a/>", "text/xml; charset=utf-8"),
        (b"\x00\x01\x02\xff", "application/octet-stream"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "image/png"),
        (b"\x1f\x8b\x08\x00", "application/x-gzip"),
        (b"PK\x03\x04", "application/zip"),
        (b"%PDF-1.7", "application/pdf"),
        (b"RIFF\x00\x00\x00\x00WAVE", "audio/wave"),
        (b"RIFF\x00\x00\x00\x00NONE", "application/octet-stream"),
        (b"\x00\x00\x00\x14ftypisom\x00\x00\x00\x00mp42", "video/mp4"),
        (b"\x00\x00\x00\x10ftypisom\x00\x00\x00\x00", "application/octet-stream"),
    ],
)
def test_the_first_bytes_tell(data: bytes, kind: str) -> None:
    """Each is named as Go's server names it, JSON as text."""
    assert content_type_of(data).decode() == kind


def test_only_the_beginning_counts() -> None:
    """A binary byte behind the first 512 changes nothing."""
    assert content_type_of(b"a" * 512 + b"\x00") == b"text/plain; charset=utf-8"
