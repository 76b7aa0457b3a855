"""What the API makes of a request line, a query and a body."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daprflow.sidecar.http_api.call import (
    BadEscape,
    Event,
    clean,
    drain,
    metadata_headers,
    unescape,
)


@pytest.mark.parametrize(
    ("path", "cleaned"),
    [
        (b"/", b"/"),
        (b"", b""),
        (b"/a/b", b"/a/b"),
        (b"/a/b/", b"/a/b"),
        (b"//a///b//", b"/a/b"),
        (b"/a/./b", b"/a/b"),
        (b"/a/../b", b"/b"),
        (b"/../../b", b"/b"),
        (b"/a/..", b"/"),
        (b"/a/...", b"/a/..."),
        (b"/a/.b", b"/a/.b"),
        (b"/a/%2e%2e/b", b"/a/%2e%2e/b"),
    ],
)
def test_paths_are_cleaned(path: bytes, cleaned: bytes) -> None:
    """Empty parts, dots and a slash at the end go; what is percent-encoded stays as it is."""
    assert clean(path) == cleaned


@given(st.text(alphabet="/.a", max_size=12))
def test_a_cleaned_path_is_clean(text: str) -> None:
    """Cleaning twice changes nothing, and leaves no part that climbs."""
    once = clean(b"/" + text.encode())
    assert clean(once) == once
    assert not {b"", b".", b".."} & set(once.split(b"/")[1:] if once != b"/" else ())


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (b"a", "a"),
        (b"a+b", "a b"),
        (b"a%2Bb", "a+b"),
        (b"a%2fb", "a/b"),
        (b"%C3%A4", "\u00e4"),
        (b"%ff", "\ufffd"),
        (b"%25", "%"),
        (b"", ""),
    ],
)
def test_parts_are_unescaped_by_query_rules(part: bytes, text: str) -> None:
    """A part of the path may hold any character, percent-encoded; a plus is a space."""
    assert unescape(part) == text


@pytest.mark.parametrize("part", [b"%", b"a%2", b"%zz", b"%2g", b"%41%", b"% 1", b"%+1"])
def test_a_percent_sign_alone(part: bytes) -> None:
    """A percent sign without two hexadecimal digits is refused."""
    with pytest.raises(BadEscape, match="invalid URL escape"):
        unescape(part)


def test_response_metadata_that_fits_no_header() -> None:
    """S-15: response metadata that would break a header is left out."""
    metadata = {"Good": "1", "bad name": "1", "line": "a\r\nx: 1", "nul": "\0", "wide": "\u20ac"}
    assert metadata_headers(metadata) == ((b"metadata.good", b"1"),)


async def test_what_a_refused_caller_sends_is_taken_in() -> None:
    """The rest of a body is read to its end, so that the caller reads the answer, or to a limit."""
    piece: Event = {"type": "http.request", "body": b"x" * 1024 * 1024, "more_body": True}
    left = [piece, {"type": "http.request", "body": b"x", "more_body": False}, piece]

    async def receive() -> Event:
        return left.pop(0)

    await drain(receive, piece)
    assert left == [piece]
    await drain(receive, {"type": "http.disconnect"})
    assert left == [piece]
    left = [piece] * 20
    await drain(receive, piece)
    assert len(left) == 4
