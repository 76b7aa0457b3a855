"""Each folder of the examples can be learned from and copied: README, app, components, test."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from daprflow.sidecar.resources import load_resources

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
# A group is no example: each folder in it is one, and what explains it is a page of the docs.
GROUPS = frozenset({"tutorial", "migration"})
HEADINGS = ("Run it", "What to look at", "Test it", "In production")
POINTS = range(3, 7)
LINK = re.compile(r"\]\((?P<path>[^)#:]+)(?:#[^)]*)?\)")
# Calls whose first argument names a component.
NAMED_BY = frozenset({
    "Topic", "topic", "binding", "bind", "state", "secret", "secrets", "lock", "encrypt",
    "decrypt", "converse", "configuration",
})  # fmt: skip
# The secret store that a cluster has without a file.
EVERYWHERE = frozenset({"kubernetes"})
KEEPERS = frozenset({"actor", "workflow"})
OTHER_FILES = frozenset({".json", ".js", ".py", ".proto", ".toml", ".yaml"})


def examples() -> list[Path]:
    """Every example with a README of its own: the folders of ``examples/`` that are no group."""
    return sorted(each for each in EXAMPLES.iterdir() if _holds_files(each) and not _group(each))


def steps() -> list[Path]:
    """Every folder of a group."""
    nested = (each for group in GROUPS for each in (EXAMPLES / group).glob("*"))
    return sorted(each for each in nested if _holds_files(each))


def component_folders() -> list[Path]:
    """Every folder of component files: of a laptop, and of a cluster."""
    return sorted(each for each in EXAMPLES.rglob("*") if each.name in {"resources", "cluster"})


def _group(folder: Path) -> bool:
    return folder.name in GROUPS


def _holds_files(folder: Path) -> bool:
    if not folder.is_dir() or folder.name.startswith((".", "_")):
        return False
    return any(path.suffix in OTHER_FILES for path in _files(folder))


def _files(folder: Path) -> Iterator[Path]:
    """Every file of an example, without what a run leaves there."""
    for path in folder.rglob("*"):
        hidden = any(part.startswith((".", "__")) for part in path.relative_to(folder).parts[:-1])
        if path.is_file() and not hidden:
            yield path


def _name(folder: Path) -> str:
    return folder.relative_to(EXAMPLES).as_posix()


def _code(folder: Path) -> Iterator[Path]:
    return (
        path
        for path in _files(folder)
        if path.suffix == ".py" and not path.name.startswith("test_")
    )


@pytest.mark.parametrize("folder", [*examples(), *steps()], ids=_name)
def test_every_example_has_a_test(folder: Path) -> None:
    """Beside what is run stands a test of it; in a group, one may stand beside the folders."""
    beside = [*folder.rglob("test_*.py"), *(folder.parent.glob("test_*.py"))]
    assert beside


@pytest.mark.parametrize("folder", examples(), ids=_name)
def test_every_readme_has_the_same_parts(folder: Path) -> None:
    """What it shows, how to run it, what to look at, how to test it, what production changes."""
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert re.match(r"# \S.*\n\n[^#\n`]", text), "a title, then a paragraph on what it shows"
    assert tuple(re.findall(r"^## (.+)$", text, flags=re.MULTILINE)) == HEADINGS
    _, *parts = re.split(r"^## .+$", text, flags=re.MULTILINE)
    run, look, test, production = parts
    assert "```console\n$ " in run, "the commands, and what they print"
    assert len(re.findall(r"^- ", look, flags=re.MULTILINE)) in POINTS
    assert f"pytest -q examples/{_name(folder)}\n" in test
    assert production.strip()
    assert "](../../docs/" in text, "a link to the page that has it all"


@pytest.mark.parametrize("folder", examples(), ids=_name)
def test_links_of_a_readme_lead_somewhere(folder: Path) -> None:
    """Every link to a file is to one that is there."""
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert [each for each in LINK.findall(text) if not (folder / each).exists()] == []


@pytest.mark.parametrize("folder", examples(), ids=_name)
def test_names_in_a_readme_stand_in_the_example(folder: Path) -> None:
    """What is pointed at under "What to look at" is in a file of the folder, or is one."""
    text = (folder / "README.md").read_text(encoding="utf-8")
    look = text.partition("## What to look at")[2].partition("\n## ")[0]
    names = {name.removesuffix("()") for name in re.findall(r"`([^`\s]+)`", look)}
    files = [path for path in _files(folder) if path.name != "README.md"]
    held = "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in files)
    paths = {path.relative_to(folder).as_posix() for path in files}
    paths |= {path.name for path in files} | {f"{path.parent.name}/" for path in files}
    assert sorted(name for name in names if name not in held and name not in paths) == []


@pytest.mark.parametrize("folder", examples(), ids=_name)
def test_the_components_of_an_app_are_files_to_copy(folder: Path) -> None:
    """Whatever component the code names is declared in a file of the folder, or in the code.

    ``resources/`` holds what a laptop runs with, ``cluster/`` what a real runtime gets elsewhere.
    """
    declared = {
        document["metadata"]["name"]
        for path in _files(folder)
        if path.suffix == ".yaml"
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8"))
        if isinstance(document, dict) and document.get("kind") == "Component"
    }
    named = {name for path in _code(folder) for name in _named(path)}
    assert sorted(named - declared - _in_code(folder) - EVERYWHERE) == []


@pytest.mark.parametrize("folder", component_folders(), ids=_name)
def test_component_files_are_read_without_a_problem(folder: Path) -> None:
    """What is meant to be copied is what a sidecar reads."""
    found = load_resources([folder])
    assert found.components
    assert (found.problems, found.left_out) == ((), ())


def _named(path: Path) -> Iterator[str]:
    """The components that a file of code names."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and _last_word(node.func) in NAMED_BY:
            yield from _first_word(node)
        if isinstance(node, ast.ClassDef | ast.AsyncFunctionDef):
            marks = node.decorator_list
            words = (each.func if isinstance(each, ast.Call) else each for each in marks)
            if any(_last_word(word) in KEEPERS for word in words):
                yield "statestore"


def _in_code(folder: Path) -> set[str]:
    """The components that an app declares itself."""
    calls = (
        node
        for path in _code(folder)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and _last_word(node.func) == "component"
    )
    made = (each.args[0] for each in calls if each.args)
    return {name for call in made if isinstance(call, ast.Call) for name in _first_word(call)}


def _first_word(call: ast.Call) -> Iterator[str]:
    """The first argument of a call, where it is a text."""
    for first in call.args[:1]:
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            yield first.value


def _last_word(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def test_the_index_has_every_example() -> None:
    """Each folder stands in examples/README.md, and no other does."""
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    linked = {each.rstrip("/") for each in LINK.findall(text) if not each.startswith("../")}
    assert linked - GROUPS == {each.name for each in examples()}


def test_links_of_the_index_lead_somewhere() -> None:
    """Every link of examples/README.md is to something that is there."""
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert [each for each in LINK.findall(text) if not (EXAMPLES / each).exists()] == []
