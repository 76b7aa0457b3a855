"""Whether code goes through a set where it stands: sets have another order in every process."""

import ast
import linecache
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from types import CodeType, FrameType
from typing import Any

_ITERATOR: type = type(iter(frozenset(())))
_At = tuple[int, int]
"""Line and column."""
_COMPREHENSION = ".0"
_OPERATIONS = (ast.BitOr, ast.BitAnd, ast.BitXor, ast.Sub)
_METHODS = frozenset({"union", "intersection", "difference", "symmetric_difference"})


def set_loop(frame: FrameType | None) -> bool:
    """Tell whether the line that runs in ``frame`` is inside a loop over a set."""
    if frame is None:
        return False
    local = frame.f_locals
    if isinstance(local.get(_COMPREHENSION), _ITERATOR):
        return True
    if frame.f_code.co_name.startswith("<"):
        return False
    names = {**frame.f_globals, **local}
    at = _position(frame.f_code, frame.f_lasti)
    return any(_is_set(each.over, names) for each in _loops(frame.f_code) if each.holds(at))


@dataclass(frozen=True, slots=True)
class _Loop:
    """A loop: where what it repeats begins and ends, and what it goes through."""

    begin: _At
    end: _At
    over: ast.expr

    def holds(self, at: _At) -> bool:
        return self.begin <= at < self.end


def _position(code: CodeType, instruction: int) -> _At:
    line, _, column, _ = next(islice(code.co_positions(), instruction // 2, None))
    return line or 0, column or 0


@lru_cache(maxsize=512)
def _loops(code: CodeType) -> tuple[_Loop, ...]:
    """Return the loops of a function."""
    source = "".join(linecache.getlines(code.co_filename))
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return ()
    last = max((line for _, _, line in code.co_lines() if line), default=code.co_firstlineno)
    inside = (code.co_firstlineno, 0), (last + 1, 0)
    return tuple(each for each in _found(tree) if inside[0] <= each.begin < inside[1])


def _found(tree: ast.AST) -> Iterator[_Loop]:
    for node in ast.walk(tree):
        if isinstance(node, ast.For):
            yield _Loop(_begin(node.body[0]), _end(node.body[-1]), node.iter)
        elif isinstance(node, ast.ListComp | ast.GeneratorExp | ast.SetComp):
            for each in node.generators:
                yield _Loop(_begin(node.elt), _end(node.elt), each.iter)
        elif isinstance(node, ast.DictComp):
            for each in node.generators:
                yield _Loop(_begin(node.key), _end(node.value), each.iter)


def _begin(node: ast.stmt | ast.expr) -> _At:
    return node.lineno, node.col_offset


def _end(node: ast.stmt | ast.expr) -> _At:
    return node.end_lineno or node.lineno, node.end_col_offset or 0


def _is_set(expression: ast.expr, names: dict[str, Any]) -> bool:
    """Tell whether an expression is a set, as far as that shows without running it."""
    match expression:
        case ast.Set() | ast.SetComp() | ast.Call(func=ast.Name(id="set" | "frozenset")):
            found = True
        case ast.Call(func=ast.Name(id="list" | "tuple" | "enumerate" | "iter"), args=[inner, *_]):
            found = _is_set(inner, names)
        case ast.Call(func=ast.Attribute(value=owner, attr=attribute)) if attribute in _METHODS:
            found = _is_set(owner, names)
        case ast.BinOp(left=left, op=op, right=right) if isinstance(op, _OPERATIONS):
            found = _is_set(left, names) or _is_set(right, names)
        case _:
            found = isinstance(_value(expression, names), set | frozenset)
    return found


def _value(expression: ast.expr, names: dict[str, Any]) -> Any:
    """Return what plain attributes of a name are; no property is asked."""
    match expression:
        case ast.Name(id=name):
            return names.get(name)
        case ast.Attribute(value=owner, attr=attribute):
            found = _value(owner, names)
            inside = getattr(found, "__dict__", None)
            if isinstance(inside, dict) and attribute in inside:
                return inside[attribute]
            slot = getattr(type(found), attribute, None)
            plain = type(slot).__name__ in {"member_descriptor", "getset_descriptor"}
            return getattr(found, attribute, None) if plain else None
    return None
