"""Writes the page about the models of components: ``python -m tests.docs.component_models``."""

import dataclasses
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import Any, get_args

import daprflow.components
from daprflow.components.entries import Field, fields_of
from daprflow.components.model import Component, Options
from daprflow.components.values import EnvRef

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "component-models.md"
HEAD = """# Models of components

Made from the code by `python -m tests.docs.component_models`. Every model has a `name` and, as
keywords, its own fields and those that all have; bold ones are required. What is not set is not
written: then Dapr's own default counts. A *secret* takes `secret(…)`, `env_ref(…)` or `Plain(…)`,
a *text* also `str`; a *number* takes `int` or `env_ref(…)`. How they are used:
[components in code](../how-to/components-in-code.md).
"""


def models() -> list[type[Options]]:
    """Every model that is public, but for the one of any type."""
    found = (getattr(daprflow.components, name) for name in daprflow.components.__all__)
    return [
        each
        for each in found
        if isinstance(each, type) and issubclass(each, Options) and each is not Component
    ]


def page() -> str:
    """The text of the page."""
    parts = [HEAD, "## What all have\n", *_all()]
    for model in models():
        summary = (inspect.getdoc(model) or "").partition("\n")[0].replace("``", "`")
        parts += [f"## {model.__name__}\n", f"{summary}\n"]
        fields = fields_of(model)
        if fields:
            told = texts(model)
            parts.append("| field | metadata | takes | what it is |\n|---|---|---|---|")
            parts += [_row(each, told[each.name]) for each in fields]
            parts.append("")
    return "\n".join(parts)


def _all() -> Iterator[str]:
    told = texts(Options)
    yield "| field | what it is |\n|---|---|"
    for each in dataclasses.fields(Options):
        yield f"| `{each.name}` | {told[each.name]} |"
    yield ""


def _row(field: Field, text: str) -> str:
    name = f"**`{field.name}`**" if field.required else f"`{field.name}`"
    return f"| {name} | `{field.key.name}` | {_taken(field)} | {text} |"


def _taken(field: Field) -> str:
    parts = [each for each in get_args(field.annotation) or () if each is not NoneType]
    if field.secret:
        return "*secret*"
    if EnvRef in parts:
        return "*number*" if int in parts else "*text*"
    return ", ".join(map(_word, parts or [field.annotation]))


def _word(part: Any) -> str:
    if words := get_args(part):
        if isinstance(words[0], str):
            return ", ".join(f"`{each}`" for each in words)
        return f"`{part}`".replace("collections.abc.", "").replace("typing.", "")
    if isinstance(part, str):
        return f"`{part}`"
    return f"`{part.__name__}`"


def texts(model: type) -> dict[str, str]:
    """What docstrings say of each field, those of bases included."""
    found: dict[str, str] = {}
    for each in reversed(model.__mro__):
        found |= _attributes(inspect.cleandoc(each.__doc__ or ""))
    return found


def _attributes(text: str) -> dict[str, str]:
    section = text.partition("Attributes:\n")[2]
    joined = re.sub(r"\n {5,}", " ", section)
    return {
        name: value.replace("``", "`").replace("|", "\\|")
        for name, value in re.findall(r"^ {4}(\w+): (.+)$", joined, re.MULTILINE)
    }


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
