"""Why Go's JSON scanner refuses a document, in its words; used only after a decoder failed."""

_SPACE = b" \t\r\n"
_DIGITS = b"0123456789"
_HEX = b"0123456789abcdefABCDEF"
_ESCAPES = b'"\\/bfnrt'
_END = "unexpected EOF"
_MAX_DEPTH = 10_000


class _RefusedError(Exception):
    """Carries Go's text."""


def explain(document: bytes) -> str | None:
    """Return the error that Go's stream decoder gives for ``document``, None when it takes it.

    An empty document is ``EOF``, one that ends too early ``unexpected EOF``; what follows the
    first value is not looked at.
    """
    scanner = _Scanner(document)
    scanner.skip_space()
    if scanner.at == len(document):
        return "EOF"
    try:
        scanner.value()
    except _RefusedError as refused:
        return str(refused)
    return None


def explain_whole(document: bytes) -> str | None:
    """Return the error that Go's ``Unmarshal`` gives for ``document``, None when it takes it.

    Unlike the stream decoder it wants one value and nothing after it.
    """
    scanner = _Scanner(document + b" ")  # what ends too early is looked at as if a space followed
    scanner.skip_space()
    try:
        scanner.value()
        scanner.skip_space()
        rest = scanner.peek()
    except _RefusedError as refused:
        return "unexpected end of JSON input" if str(refused) == _END else str(refused)
    return None if rest is None else str(_refuse(rest, "after top-level value"))


def first_value(document: bytes) -> bytes:
    """Return the first value of a document that `explain` takes, without what follows it."""
    scanner = _Scanner(document)
    scanner.value()
    return document[: scanner.at]


class _Scanner:
    def __init__(self, text: bytes) -> None:
        self.text = text
        self.at = 0

    def skip_space(self) -> None:
        while self.at < len(self.text) and self.text[self.at] in _SPACE:
            self.at += 1

    def take(self) -> int:
        if self.at >= len(self.text):
            raise _RefusedError(_END)
        byte = self.text[self.at]
        self.at += 1
        return byte

    def peek(self) -> int | None:
        return self.text[self.at] if self.at < len(self.text) else None

    def next_token(self) -> int:
        self.skip_space()
        return self.take()

    def value(self) -> None:
        """Scan one value; nesting is kept on a stack of the closing brackets still to come."""
        stack: list[int] = []
        self._begin(self.next_token(), stack)
        while stack:
            if stack[-1] == ord("]"):
                self._after_element(stack)
            else:
                self._after_pair(stack)

    def _begin(self, byte: int, stack: list[int]) -> None:
        """Scan what starts with ``byte``; containers are left open on the stack."""
        while True:
            if byte == ord("{"):
                self._push(stack, "}")
                byte = self.next_token()
                if byte == ord("}"):
                    stack.pop()
                    return
                byte = self._key(byte)
            elif byte == ord("["):
                self._push(stack, "]")
                byte = self.next_token()
                if byte == ord("]"):
                    stack.pop()
                    return
            else:
                self._scalar(byte)
                return

    def _push(self, stack: list[int], closing: str) -> None:
        stack.append(ord(closing))
        if len(stack) > _MAX_DEPTH:
            opening = "[" if closing == "]" else "{"
            raise _RefusedError(f"invalid character '{opening}' exceeded max depth")

    def _key(self, byte: int) -> int:
        """Scan a key and its colon; returns the first byte of the value."""
        if byte != ord('"'):
            raise _refuse(byte, "looking for beginning of object key string")
        self._string()
        byte = self.next_token()
        if byte != ord(":"):
            raise _refuse(byte, "after object key")
        return self.next_token()

    def _after_element(self, stack: list[int]) -> None:
        byte = self.next_token()
        if byte == ord("]"):
            stack.pop()
        elif byte == ord(","):
            self._begin(self.next_token(), stack)
        else:
            raise _refuse(byte, "after array element")

    def _after_pair(self, stack: list[int]) -> None:
        byte = self.next_token()
        if byte == ord("}"):
            stack.pop()
        elif byte == ord(","):
            self._begin(self._key(self.next_token()), stack)
        else:
            raise _refuse(byte, "after object key:value pair")

    def _scalar(self, byte: int) -> None:
        if byte == ord('"'):
            self._string()
        elif byte == ord("-") or byte in _DIGITS:
            self._number(byte)
        elif byte in b"tfn":
            self._literal({ord("t"): "true", ord("f"): "false", ord("n"): "null"}[byte])
        else:
            raise _refuse(byte, "looking for beginning of value")

    def _string(self) -> None:
        while (byte := self.take()) != ord('"'):
            if byte == ord("\\"):
                self._escape()
            elif byte < ord(" "):
                raise _refuse(byte, "in string literal")

    def _escape(self) -> None:
        byte = self.take()
        if byte == ord("u"):
            for _ in range(4):
                if (digit := self.take()) not in _HEX:
                    raise _refuse(digit, "in \\u hexadecimal character escape")
        elif byte not in _ESCAPES:
            raise _refuse(byte, "in string escape code")

    def _number(self, byte: int) -> None:
        if byte == ord("-"):
            byte = self.take()
            if byte not in _DIGITS:
                raise _refuse(byte, "in numeric literal")
        if byte != ord("0"):
            self._digits()
        if self.peek() == ord("."):
            self.at += 1
            self._one_digit("after decimal point in numeric literal")
        if self.peek() in {ord("e"), ord("E")}:
            self.at += 1
            if self.peek() in {ord("+"), ord("-")}:
                self.at += 1
            self._one_digit("in exponent of numeric literal")

    def _one_digit(self, context: str) -> None:
        if (byte := self.take()) not in _DIGITS:
            raise _refuse(byte, context)
        self._digits()

    def _digits(self) -> None:
        while (byte := self.peek()) is not None and byte in _DIGITS:
            self.at += 1

    def _literal(self, word: str) -> None:
        for expected in word[1:]:
            byte = self.take()
            if byte != ord(expected):
                raise _refuse(byte, f"in literal {word} (expecting '{expected}')")


def _refuse(byte: int, context: str) -> _RefusedError:
    return _RefusedError(f"invalid character {_quote(byte)} {context}")


def _quote(byte: int) -> str:
    """Quote one byte as Go does; above ASCII it is taken for a Latin-1 character."""
    named = {"'": "'\\''", '"': "'\"'", "\n": "'\\n'", "\r": "'\\r'", "\t": "'\\t'", "\\": "'\\\\'"}
    char = chr(byte)
    if char in named:
        return named[char]
    short = {7: "\\a", 8: "\\b", 11: "\\v", 12: "\\f"}
    if byte in short:
        return f"'{short[byte]}'"
    if byte < ord(" ") or byte == 0x7F:  # noqa: PLR2004 - DEL, the one control above the space
        return f"'\\x{byte:02x}'"
    return f"'{char}'" if char.isprintable() else f"'\\u{byte:04x}'"
