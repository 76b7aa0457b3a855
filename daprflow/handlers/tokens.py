"""Secrets that callers prove themselves with, compared in constant time."""

import hmac
from collections.abc import Sequence
from hashlib import sha256


class Tokens:
    """One token, or two while they are changed; empty ones count as none."""

    __slots__ = ("_digests",)

    def __init__(self, tokens: Sequence[str] = ()) -> None:
        self._digests = tuple(sha256(each.encode()).digest() for each in tokens if each)

    def __bool__(self) -> bool:
        return bool(self._digests)

    def __repr__(self) -> str:
        return "Tokens(***)"

    def hold(self, given: bytes) -> bool:
        """Tell whether ``given`` is one of them, in a time that tells nothing of them.

        Digests have one length, and every one of them is compared.
        """
        digest = sha256(given).digest()
        found = False
        for each in self._digests:
            found |= hmac.compare_digest(digest, each)
        return found
