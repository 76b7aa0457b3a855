"""The log lines of a real runtime, said in the form of our own."""

import re
from typing import Final

_PAIR: Final = r'{}=(?:"((?:[^"\\]|\\.)*)"|(\S+))'
_level = re.compile(_PAIR.format(r"(?:^|\s)level"))
_message = re.compile(_PAIR.format(r"\smsg"))
_scope = re.compile(_PAIR.format(r"\sscope"))
_escape = re.compile(r"\\(.)")


def retagged(line: str) -> str:
    """Return ``daprd | LEVEL scope: message`` for a line of ``daprd``; JSON stays as it is.

    The runtime writes ``time="…" level=info msg="…" app_id=… scope=dapr.runtime …``; time, app id
    and instance say nothing that the terminal does not.
    """
    if line.startswith("{") and line.endswith("}"):  # somebody asked for JSON
        return line
    level, message, scope = _value(_level, line), _value(_message, line), _value(_scope, line)
    if not level or not message:
        return f"daprd | {line}"
    return f"daprd | {level.upper():7} {scope or 'dapr'}: {message}"


def _value(pattern: re.Pattern[str], line: str) -> str:
    found = pattern.search(line)
    if found is None:
        return ""
    quoted, plain = found.groups()
    return plain if quoted is None else _escape.sub(r"\1", quoted)
