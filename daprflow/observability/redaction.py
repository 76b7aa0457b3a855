"""What must not be in a log: secrets, by type, by name and by form, and control codes."""

import re
from collections.abc import Iterable, Mapping
from hmac import compare_digest
from itertools import islice
from typing import Any, Final, NoReturn, final

MASK: Final = "***"
LONGEST: Final = 8 * 1024
"""Characters of one field; what is longer is cut, and the line says how much."""
_DEEPEST: Final = 6
_WIDEST: Final = 100
"""Levels and members of a value that are looked at; the rest of it is left out."""
_SHORTEST_KNOWN: Final = 6
"""Characters a known value has at least: a shorter one stands in many a word."""

_SECRET_NAMES: Final = (
    "accesskey", "accountkey", "apikey", "authorization", "clientsecret", "connectionstring",
    "cookie", "credential", "dsn", "masterkey", "passphrase", "passwd", "password", "privatekey",
    "pwd", "sastoken", "secret", "sharedaccesskey", "signature", "token",
)  # fmt: skip
"""Parts of a field's name, without case and separators, that make its value a secret."""
_HARMLESS: Final = frozenset(
    {"tokenlimit", "tokentype", "secretstore", "secretname", "tokencount", "tokenizer"}
)
"""Names that only look so."""
_separators = re.compile(r"[\W_]+")

# Each word is looked through once, from its beginning, and never taken back: what strangers have
# logged may be long, and made to be slow.
_NAMED: Final = (
    r"(?<![\w-])(?=[\w-]*(?:passw(?:or)?d|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|account[_-]?key"
    r"|shared[_-]?access[_-]?(?:key|signature)|private[_-]?key|authorization|credential))[\w-]++"
)
_pairs = re.compile(
    rf"""(?ix)(["']?{_NAMED}["']?\s*[=:]\s*) (?!\*\*\*)
    ("(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*' | (?:bearer|basic)\s+[^\s,;&"']+ | [^\s,;&"'){{}}\]]+)"""
)
"""A name, then what is given to it, as in a query, a connection string, JSON or a call."""
_bearers = re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}")
_logins = re.compile(r"(?<=://)([^\s/:@]*):[^\s/@]+@")
_jwts = re.compile(r"(?<![\w-])eyJ[\w-]{5,}+\.[\w-]{5,}+\.[\w-]*+")
_SUSPICIOUS: Final = re.compile(
    r"(?i)passw|pwd|passphrase|secret|token|key|authoriz|credential|bearer|basic |://|eyj"
)
"""What a text with a secret of a known form has somewhere; most have none of it."""

_controls = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
"""Control codes, marks that turn or hide text, and half characters; not tab and line feed."""


@final
class Secret:
    """A text that shows itself to nobody who does not call ``reveal``.

    Its ``str``, ``repr`` and what a format makes of it are a mask, and so is what a log holds.

    Args:
        value: the text.

    Example:
        ```python
        from daprflow.observability import Secret

        token = Secret("s3cret")
        print(token, token.reveal())
        ```
    """

    __slots__ = ("_value",)

    def __init__(self, value: str, /) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the text.

        Example:
            ```python
            from daprflow.observability import Secret

            value = Secret("s3cret").reveal()
            ```
        """
        return self._value

    def __str__(self) -> str:
        return MASK

    def __repr__(self) -> str:
        return f"Secret('{MASK}')"

    def __format__(self, form: str) -> str:
        return format(MASK, form)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not written anywhere; take its value with 'reveal()'")


def names_a_secret(name: str) -> bool:
    """Tell whether what a field of that name holds is not for a log."""
    plain = _separators.sub("", name).lower()
    if plain in _HARMLESS or plain.endswith("tokens"):
        return False
    return any(part in plain for part in _SECRET_NAMES)


def escaped(text: str) -> str:
    """Return a text without control codes; line feeds and tabs stay.

    What a terminal obeys, what turns the direction of text and what hides in it becomes visible.
    """
    if text.isprintable():
        return text
    return _controls.sub(_visible, text)


def one_line(text: str) -> str:
    """Return a text without control codes and without line breaks."""
    if text.isprintable():
        return text
    return escaped(text).replace("\n", "\\n").replace("\t", "\\t")


def cut(text: str, longest: int = LONGEST) -> str:
    """Return what fits of a text, and how much did not."""
    if len(text) <= longest:
        return text
    return f"{text[:longest]}… ({len(text) - longest} more characters)"


class Redaction:
    """Takes secrets out of what is logged.

    Args:
        values: texts that are secrets wherever they stand: the tokens of app and sidecar.
    """

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._known: tuple[str, ...] = ()
        self.add(*values)

    def add(self, *values: str) -> None:
        """Take these texts out as well, wherever they stand; very short ones are not looked for."""
        found = {*self._known, *(each for each in values if len(each) >= _SHORTEST_KNOWN)}
        self._known = tuple(sorted(found, key=len, reverse=True))

    def text(self, text: str) -> str:
        """Return a text as it may be logged: no secrets, no control codes, and not too long."""
        # Cut last: half of a secret would not be known as one.
        text = text if len(text) <= 2 * LONGEST else cut(text, 2 * LONGEST)
        for value in self._known:
            if value in text:
                text = text.replace(value, MASK)
        if _SUSPICIOUS.search(text):
            text = _jwts.sub(MASK, text)
            text = _logins.sub(rf"\1:{MASK}@", text)
            text = _pairs.sub(rf"\1{MASK}", text)
            text = _bearers.sub(rf"\1 {MASK}", text)
        return cut(escaped(text))

    def value(self, name: str, value: Any) -> Any:
        """Return a field's value as it may be logged: plain values of JSON alone."""
        return self._value(name, value, _DEEPEST)

    def _value(self, name: str, value: Any, deep: int) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, Secret) or names_a_secret(name):
            return MASK
        if isinstance(value, int | float):
            return value if abs(value) < float("inf") else str(value)  # NaN is none of JSON's
        if isinstance(value, Mapping | list | tuple | set | frozenset):
            return self._members(value, deep - 1) if deep else "…"
        if isinstance(value, bytes | bytearray | memoryview):
            return f"<{len(value)} bytes>"
        return self.text(_shown(value))

    def _members(self, value: Any, deep: int) -> Any:
        if isinstance(value, Mapping):
            some = islice(value.items(), _WIDEST)
            return {
                self.text(_shown(key)): self._value(_shown(key), each, deep) for key, each in some
            }
        return [self._value("", each, deep) for each in islice(value, _WIDEST)]


def _shown(value: Any) -> str:
    """Return what an object of a user's class says of itself."""
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001 - whatever a user's class raises
        return f"<{type(value).__name__} whose text failed: {type(error).__name__}>"


def _visible(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"  # noqa: PLR2004 - one byte
