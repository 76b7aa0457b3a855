"""Helm templates from documents: what is a value in a chart is cut out, all else stays as it is."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from daprflow.manifests.yaml_text import document

_TOKEN = "hole-{}-of-the-chart"  # noqa: S105 - no secret
_LINE = re.compile(
    r"^(?P<indent> *)(?P<key>(?:- )?[\w./\"-]+): hole-(?P<number>\d+)-of-the-chart$", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Hole:
    """What stands in a template in the place of a value.

    Attributes:
        expression: what Helm evaluates there.
        kind: ``scalar`` for a text or number on the line of its key; ``block`` for a mapping or
            list; ``lines`` for a template of the lines below the key, which is handed their indent.
        when: a condition of the key; for a block, empty leaves the key out where there is nothing.
    """

    expression: str
    kind: Literal["scalar", "block", "lines"] = "scalar"
    when: str = ""


def carved(tree: Mapping[str, Any]) -> str:
    """Return the text of a document in which some values are a `Hole`; each is one of a mapping."""
    holes: list[Hole] = []
    text = document(_marked(tree, holes)).replace("{{", '{{ "{{" }}')

    def filled(match: "re.Match[str]") -> str:
        return _filled(holes[int(match["number"])], match["indent"], match["key"])

    return _LINE.sub(filled, text)


def put(tree: Mapping[str, Any], path: Sequence[str | int], value: Any) -> dict[str, Any]:
    """Return a document with a value somewhere in it; mappings on the way are made."""
    copy: dict[str, Any] = _put(tree, list(path), value)
    return copy


def taken(tree: Any, path: Sequence[str | int], default: Any = None) -> Any:
    """Return what is somewhere in a document."""
    for step in path:
        if isinstance(tree, Mapping) and step not in tree:
            return default
        tree = tree[step]
    return tree


def _put(tree: Any, path: list[str | int], value: Any) -> Any:
    if not path:
        return value
    step, *rest = path
    if isinstance(tree, list):
        return [_put(each, rest, value) if n == step else each for n, each in enumerate(tree)]
    return {**tree, step: _put(tree.get(step, {}), rest, value)}


def _marked(tree: Any, holes: list[Hole]) -> Any:
    if isinstance(tree, Hole):
        holes.append(tree)
        return _TOKEN.format(len(holes) - 1)
    if isinstance(tree, Mapping):
        return {name: _marked(value, holes) for name, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_marked(value, holes) for value in tree]
    return tree


def _filled(hole: Hole, indent: str, key: str) -> str:
    inner = len(indent) + 2
    if hole.kind == "scalar":
        lines = [f"{indent}{key}: {{{{ {hole.expression} }}}}"]
        return "\n".join(_conditional(lines, hole.when, indent))
    if hole.kind == "lines":
        lines = [f"{indent}{key}:", f"{indent}  {{{{- {hole.expression} | nindent {inner} }}}}"]
        return "\n".join(_conditional(lines, hole.when, indent))
    if hole.when:
        lines = [
            f"{indent}{key}:",
            f"{indent}  {{{{- toYaml {hole.expression} | nindent {inner} }}}}",
        ]
        return "\n".join(_conditional(lines, hole.when, indent))
    return "\n".join(
        [
            f"{indent}{{{{- with {hole.expression} }}}}",
            f"{indent}{key}:",
            f"{indent}  {{{{- toYaml . | nindent {inner} }}}}",
            f"{indent}{{{{- end }}}}",
        ]
    )


def _conditional(lines: list[str], when: str, indent: str) -> list[str]:
    if not when:
        return lines
    return [f"{indent}{{{{- if {when} }}}}", *lines, f"{indent}{{{{- end }}}}"]
