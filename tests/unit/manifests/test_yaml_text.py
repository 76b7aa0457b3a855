import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from daprflow.manifests.yaml_text import document, documents, is_plain

MISREAD = (
    "no", "No", "y", "on", "off", "null", "~", "true", "1e3", "0x1", "0o7", "010", "1_000", "1:30",
    ".5", "-", "- a", "a: b", "a #b", "#", "&a", "*a", "!x", "%a", "@a", "`", "{}", "[]", "''", '"',
    "2026-01-01", ".nan", "NaN", "inf", "=", "<<", "?", "", " a", "a ", "|", ">", "key:",
    "{{ .x }}",
    "\x00", "\u2028", "\ufeff", "\x85", "\x1b[2J", "a\n", "\n", "a\nb", "a\rb", "\ta",
    "--- a", "...\n--- b", "a\n---\nkind: Secret\n",
)  # fmt: skip


@pytest.mark.parametrize("text", MISREAD)
def test_what_yaml_would_misread_comes_back_as_it_was(text: str) -> None:
    """Texts that look like something else, or like the end of a document, are read as they were."""
    written = document({"key": text, text: "value", "list": [text]})
    assert yaml.safe_load(written) == {"key": text, text: "value", "list": [text]}
    assert list(yaml.safe_load_all(written)) == [{"key": text, text: "value", "list": [text]}]


@pytest.mark.parametrize("text", [text for text in MISREAD if "\n" not in text])
def test_what_some_reader_would_misread_is_quoted(text: str) -> None:
    """A reader of YAML 1.2 sees the same texts as one of 1.1, because none of them is bare."""
    assert not is_plain(text)
    assert document({"key": text}).startswith('key: "')


@given(st.text())
def test_any_text_comes_back(text: str) -> None:
    """Whatever a name or a value is, it stays one text, and never ends its document."""
    encodable = text.encode("utf-8", "ignore").decode()
    assert list(yaml.safe_load_all(document({"a": encodable}))) == [{"a": encodable}]


def test_the_style_is_one() -> None:
    """Keys keep their order, lists are indented, nothing is folded, and nothing is an alias."""
    shared = {"name": "x"}
    tree = {"z": [shared, shared], "a": {"n": 1, "yes": True}, "long": "word " * 60 + "end"}
    written = document(tree)
    assert written.splitlines()[:4] == ["z:", "  - name: x", "  - name: x", "a:"]
    assert len(written.splitlines()) == 7
    assert yaml.safe_load(written) == json.loads(json.dumps(tree))


def test_several_documents_are_one_text() -> None:
    """Documents are apart by a line of three dashes."""
    assert documents([{"a": 1}, {"b": 2}]) == "a: 1\n---\nb: 2\n"
