"""The phrases of HTTP statuses."""

import pytest

from daprflow.protocol.http_phrases import phrase_of


@pytest.mark.parametrize(
    ("status", "phrase"),
    [
        (200, "OK"),
        (404, "Not Found"),
        (413, "Request Entity Too Large"),
        (418, "I'm a teapot"),
        (422, "Unprocessable Entity"),
        (499, ""),
        (999, ""),
    ],
)
def test_phrases_are_gos(status: int, phrase: str) -> None:
    """Also where Python's differ, and those of no status are empty."""
    assert phrase_of(status) == phrase
