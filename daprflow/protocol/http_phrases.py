"""The phrases of HTTP statuses, as Go's library has them."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

_OTHERS: Final[Mapping[int, str]] = {
    413: "Request Entity Too Large",
    414: "Request URI Too Long",
    416: "Requested Range Not Satisfiable",
    418: "I'm a teapot",
    422: "Unprocessable Entity",
}


def phrase_of(status: int) -> str:
    """Return the phrase of a status; empty where it has none."""
    if status in _OTHERS:
        return _OTHERS[status]
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
