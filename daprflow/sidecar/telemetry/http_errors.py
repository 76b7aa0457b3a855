"""What an HTTP status says of a call, in the words of the real runtime's spans."""

from http import HTTPStatus

_FIRST_ERROR = 400


def error_of(status: int) -> str | None:
    """Return what a status says went wrong; None where nothing did."""
    if status < _FIRST_ERROR:
        return None
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unknown"
    return f"Code({status}): {phrase}"
