"""CEL expressions: rules that route events, and conditions that trip circuit breakers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cel import Program

LONGEST = 4096
"""Bytes of an expression; reading one takes longer than in proportion to its length."""
_SHOWN = 60


class ExpressionError(Exception):
    """An expression cannot be compiled, fails on an event, or does not give true or false."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled CEL expression over ``event``."""

    text: str
    program: "Program"

    def matches(self, event: Mapping[str, Any], /) -> bool:
        """Tell whether ``event``, whose numbers are floats (see `with_floats`), satisfies it.

        Raises:
            ExpressionError: a missing key, a type error, or a result that is no bool; the real
                runtime does not take these for "no" either.
        """
        try:
            result = self.program.execute({"event": event})
        except Exception as error:
            raise ExpressionError(f"expression '{self.text}' failed: {_reason(error)}") from error
        if not isinstance(result, bool):
            raise ExpressionError(
                f"expression '{self.text}' gave {type(result).__name__}, not true or false"
            )
        return result


@dataclass(frozen=True, slots=True)
class CountsExpression:
    """A compiled CEL expression over counts."""

    text: str
    program: "Program"

    def holds(self, counts: Mapping[str, int], /) -> bool:
        """Tell whether it is true of ``counts``; one that fails, or is no bool, is not."""
        try:
            return self.program.execute(dict(counts)) is True
        except Exception:  # noqa: BLE001 - the library raises several kinds, and all mean no
            return False


def compile_counts(text: str) -> CountsExpression:
    """Compile a condition over counts.

    Raises:
        ExpressionError: it is not CEL.
    """
    return CountsExpression(text, compile_expression(text).program)


def compile_expression(text: str) -> Expression:
    """Compile ``text``.

    Raises:
        ExpressionError: it is not CEL, or longer than `LONGEST`.
    """
    size = len(text.encode(errors="surrogatepass"))
    if size > LONGEST:
        raise ExpressionError(
            f"'{text[:_SHOWN]}…' is a CEL expression of {size} bytes, and {LONGEST} are the most "
            "there may be; write a shorter one, or several rules"
        )
    from cel import compile as compile_cel  # noqa: PLC0415 - CEL is loaded by those who route

    try:
        return Expression(text, compile_cel(text))
    except Exception as error:
        raise ExpressionError(f"'{text}' is not a CEL expression: {_reason(error)}") from error


def with_floats(value: Any) -> Any:
    """Return ``value`` with every integer as a float, as JSON numbers are to CEL."""
    kind = type(value)
    if kind is dict:
        return {key: with_floats(item) for key, item in value.items()}
    if kind is list:
        return [with_floats(item) for item in value]
    if kind is int:
        return _float(value)
    return value


def _float(number: int) -> float:
    try:
        return float(number)
    except OverflowError:
        return float("inf") if number > 0 else float("-inf")


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"no such key: {error.args[0]}"
    first, _, _ = str(error).partition("\n")  # there may be ten thousand lines
    return (first.splitlines() or [type(error).__name__])[0]
