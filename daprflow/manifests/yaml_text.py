"""YAML in one style: a text that any reader of YAML, 1.1 or 1.2, could take for else is quoted."""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import yaml

_PLAIN = re.compile(r"[A-Za-z/](?:[A-Za-z0-9_./@+-]|:(?=[A-Za-z0-9/])| (?=[A-Za-z0-9]))*")
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"})
"""What some reader takes for a truth value, for nothing, or for a number, in any case."""
_LONGEST_LINE = 1 << 30


def documents(trees: Iterable[Mapping[str, Any]]) -> str:
    """Return documents as one text, ``---`` between them."""
    return "---\n".join(map(document, trees))


def document(tree: Mapping[str, Any]) -> str:
    """Return one document; keys stay in their order, and nothing is an alias."""
    import yaml  # noqa: PLC0415 - loaded by those who write YAML

    text: str = yaml.dump(
        _plain(tree),
        Dumper=_dumper(),
        sort_keys=False,
        default_flow_style=False,
        allow_unicode=True,
        width=_LONGEST_LINE,
    )
    return text


def is_plain(text: str) -> bool:
    """Whether a text can stand without quotes."""
    return _PLAIN.fullmatch(text) is not None and text.lower() not in _WORDS


def _plain(value: Any) -> Any:
    """Return what the writer knows: mappings and sequences of any kind as those of Python."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, str) else value


@cache
def _dumper() -> type["yaml.SafeDumper"]:
    import yaml  # noqa: PLC0415 - as above

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - a hook
            return True

        def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - a hook
            super().increase_indent(flow, indentless=False)

    Dumper.add_representer(str, _text)
    return Dumper


def _text(dumper: "yaml.SafeDumper", text: str) -> "yaml.ScalarNode":
    style = None if is_plain(text) else '"'
    if "\n" in text.rstrip("\n"):
        style = "|"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)
