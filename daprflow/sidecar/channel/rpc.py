"""What comes of a call on an app that speaks gRPC, without the library."""

from dataclasses import dataclass
from typing import Generic, TypeVar

M = TypeVar("M")

Metadata = tuple[tuple[str, str | bytes], ...]
"""Pairs in order; names are lower-case, and those that end with ``-bin`` have bytes."""

DETAILS = "grpc-status-details-bin"
"""The trailer with the details of a status."""


class RpcFailed(Exception):  # noqa: N818 - named for what happened
    """The app answered a call with a status other than OK.

    Attributes:
        code: the number of the status.
        text: what the app says of it.
        headers: what came before the answer.
        trailers: what came with the status, its details among them.
    """

    def __init__(
        self, code: int, text: str, headers: Metadata = (), trailers: Metadata = ()
    ) -> None:
        super().__init__(f"gRPC status {code}: {text}")
        self.code = code
        self.text = text
        self.headers = headers
        self.trailers = trailers


@dataclass(frozen=True, slots=True)
class RpcAnswer(Generic[M]):
    """The app's answer to a call."""

    message: M
    headers: Metadata = ()
    trailers: Metadata = ()
