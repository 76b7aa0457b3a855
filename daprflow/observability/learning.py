"""Secrets that an app reads while it runs, so that what it tells of itself has none of them."""

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from daprflow.client.interception import CallNext, ClientCall, ClientResponse
from daprflow.observability.redaction import Redaction

MOST: Final = 1000
"""Values that are remembered; a store of more is no reason for every text to take long."""


class Learning:
    """Adds the values that secret stores give to what is taken out of texts.

    Args:
        redaction: takes them out.
    """

    __slots__ = ("_redaction", "_seen")

    def __init__(self, redaction: Redaction) -> None:
        self._redaction = redaction
        self._seen = 0

    def after(self, call_next: CallNext) -> CallNext:
        """Return a call of a secret store whose answer is remembered."""

        async def run(call: ClientCall) -> ClientResponse:
            response = await call_next(call)
            self.look(response.body)
            return response

        return run

    def look(self, answer: bytes) -> None:
        """Remember the values in the answer of a secret store."""
        if not answer or self._seen >= MOST:
            return
        values = tuple(_values(answer))
        self._seen += len(values)
        self._redaction.add(*values)


def _values(answer: bytes) -> Iterator[str]:
    """Give the values of one secret, or of all: a map of texts, or a map of those."""
    try:
        found = msgspec.json.decode(answer, type=dict[str, str | dict[str, str]])
    except msgspec.MsgspecError:
        return
    for value in found.values():
        if isinstance(value, Mapping):
            yield from value.values()
        else:
            yield value
