"""One YAML document with line numbers: safe types only, no duplicate keys, no bombs."""

import re
from collections.abc import Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import yaml

_ALIASES = 20
_DEPTH = 50
_INT = re.compile(r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0o?[0-7_]+|0|[1-9][0-9_]*)")
_FLOAT = re.compile(
    r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+|\.[0-9][0-9_]*"
    r"(?:[eE][-+]?[0-9]+)?|\.(?:inf|Inf|INF))|\.(?:nan|NaN|NAN)"
)


class YamlError(Exception):
    """A document cannot be read; the text has file and line."""


class YamlMapping(dict[str, Any]):
    """A YAML mapping that knows where it stands.

    Attributes:
        line: its first line in the file.
        lines: the line of each key.
        files: the file of a key, where mappings of several files were put together.
        texts: each plain value as it is written, such as ``1.10``.
    """

    def __init__(self, file: Path, line: int) -> None:
        super().__init__()
        self.file = file
        self.line = line
        self.lines: dict[str, int] = {}
        self.files: dict[str, Path] = {}
        self.texts: dict[str, str] = {}

    def take_missing(self, other: "YamlMapping") -> None:
        """Take what is not here yet from a mapping that is merged into this one."""
        for name, value in other.items():
            if name not in self:
                self[name] = value
                self.lines[name] = other.lines.get(name, other.line)
                if name in other.texts:
                    self.texts[name] = other.texts[name]

    def place(self, key: str = "") -> str:
        """Return ``file:line`` of a key, of the mapping itself without one."""
        return f"{self.files.get(key, self.file)}:{self.lines.get(key, self.line)}"


def read_document(text: str, file: Path, first_line: int) -> YamlMapping | None:
    """Return the mapping that ``text`` is, None when it is empty or something else.

    Args:
        text: one document.
        file: where it stands, for errors.
        first_line: the number of its first line there.

    Raises:
        YamlError: a syntax error, a duplicate key, or a document that is a trap.
    """
    import yaml  # noqa: PLC0415 - loaded by those who have resource files

    try:
        node = yaml.compose(text, Loader=_loader())
        value = None if node is None else _Builder(file, first_line).build(node, 0)
    except yaml.YAMLError as error:
        raise YamlError(_syntax(error, file, first_line)) from error
    except RecursionError:
        raise YamlError(f"{file}:{first_line}: the document is nested too deeply") from None
    except ValueError:  # more digits than Python reads
        raise YamlError(f"{file}:{first_line}: a number is too long; put it in quotes") from None
    return value if isinstance(value, YamlMapping) else None


def _loader() -> type["yaml.SafeLoader"]:
    """Return a loader for the types that Dapr's own reader knows: no dates, no base-60 numbers."""
    import yaml  # noqa: PLC0415 - as above

    class Loader(yaml.SafeLoader):
        aliases = 0
        depth = 0

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                self.aliases += 1
                if self.aliases > _ALIASES:
                    raise yaml.MarkedYAMLError(
                        problem="too many aliases", problem_mark=self.get_mark()
                    )
            if self.depth > _DEPTH:
                raise self.too_deep()
            self.depth += 1
            node = super().compose_node(parent, index)
            self.depth -= 1
            return node

        def fetch_flow_collection_start(self, token: Any) -> None:
            if self.flow_level > _DEPTH:  # here already: each level makes reading on slower
                raise self.too_deep()
            super().fetch_flow_collection_start(token)

        def too_deep(self) -> yaml.MarkedYAMLError:
            text = "the document is nested too deeply"
            return yaml.MarkedYAMLError(problem=text, problem_mark=self.get_mark())

    dropped = {
        "tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:int", "tag:yaml.org,2002:float",
    }  # fmt: skip
    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in dropped]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    signs = list("-+0123456789")
    Loader.add_implicit_resolver("tag:yaml.org,2002:int", _whole(_INT), signs)
    Loader.add_implicit_resolver("tag:yaml.org,2002:float", _whole(_FLOAT), [*signs, "."])
    return Loader


def _whole(pattern: re.Pattern[str]) -> re.Pattern[str]:
    return re.compile(f"^(?:{pattern.pattern})$")


class _Builder:
    """Makes plain values of nodes; mappings keep their lines."""

    def __init__(self, file: Path, first_line: int) -> None:
        import yaml  # noqa: PLC0415 - as above

        self._yaml = yaml
        self._constructor = yaml.constructor.SafeConstructor()
        self._file = file
        self._first = first_line

    def build(self, node: "yaml.Node", depth: int) -> Any:
        if depth > _DEPTH:
            raise self._error(node, "the document is nested too deeply")
        if isinstance(node, self._yaml.MappingNode):
            return self._mapping(node, depth)
        if isinstance(node, self._yaml.SequenceNode):
            return [self.build(item, depth + 1) for item in node.value]
        return self._constructor.construct_object(node)

    def _mapping(self, node: "yaml.MappingNode", depth: int) -> YamlMapping:
        mapping = YamlMapping(self._file, self._line(node))
        merged = []
        for key_node, value_node in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                merged.append(self.build(value_node, depth + 1))
                continue
            key = self.build(key_node, depth + 1)
            if not isinstance(key, Hashable) or isinstance(key, YamlMapping):
                raise self._error(key_node, "a key must be a plain value")
            name = str(key)
            if name in mapping:
                raise self._error(key_node, f"key '{name}' stands here twice")
            mapping[name] = self.build(value_node, depth + 1)
            mapping.lines[name] = self._line(key_node)
            if isinstance(value_node, self._yaml.ScalarNode):
                mapping.texts[name] = value_node.value
        for other in merged:
            for source in other if isinstance(other, list) else [other]:
                if isinstance(source, YamlMapping):
                    mapping.take_missing(source)
        return mapping

    def _line(self, node: "yaml.Node") -> int:
        return self._first + int(node.start_mark.line)

    def _error(self, node: "yaml.Node", problem: str) -> Exception:
        return self._yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)


def _syntax(error: "yaml.YAMLError", file: Path, first_line: int) -> str:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be read"
    if mark is None:
        return f"{file}:{first_line}: {problem}; correct the YAML there"
    place = f"{file}:{first_line + mark.line}"
    return f"{place}: {problem} (column {mark.column + 1}); correct the YAML there"
