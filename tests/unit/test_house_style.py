"""The house rules that can be checked: sizes, names of imports, docstrings, exports, versions."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import daprflow

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "daprflow"
LONGEST_MODULE = 600
LONGEST_FUNCTION = 60

# What importing daprflow must not pull in: each costs start-up time that an app may never need.
HEAVY = (
    "aiohttp",
    "cel",
    "cryptography",
    "dapr",
    "google.protobuf",
    "grpc",
    "opentelemetry",
    "rich",
    "stamina",
    "structlog",
    "typer",
    "uvicorn",
    "yaml",
)

Function = ast.FunctionDef | ast.AsyncFunctionDef


def modules(*folders: str) -> list[Path]:
    """Every Python file below the project's ``folders``."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def name_of(path: Path) -> str:
    """The path as seen from the project's root, for messages and test ids."""
    return path.relative_to(ROOT).as_posix()


def parse(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=name_of(path))


def functions(tree: ast.AST) -> Iterator[Function]:
    """Every function and method in ``tree``."""
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def imported(tree: ast.AST) -> Iterator[str]:
    """Every dotted name that ``tree`` imports, at whatever depth it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def below(name: str, *parents: str) -> bool:
    """Whether a dotted ``name`` is one of ``parents`` or inside one."""
    return any(name == parent or name.startswith(f"{parent}.") for parent in parents)


def code_lines(function: Function) -> int:
    """Lines of a function without its docstring."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    if ast.get_docstring(function) is None:
        return lines
    docstring = function.body[0]
    return lines - ((docstring.end_lineno or docstring.lineno) - docstring.lineno + 1)


package_modules = pytest.mark.parametrize("path", modules("daprflow"), ids=name_of)


@package_modules
def test_modules_stay_small(path: Path) -> None:
    """No module of the package is longer than 600 lines."""
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= LONGEST_MODULE, f"'{name_of(path)}' has {lines} lines; split it by its nouns"


@package_modules
def test_functions_stay_short(path: Path) -> None:
    """No function of the package is longer than 60 lines."""
    long = [
        f"{f.name} ({code_lines(f)})"
        for f in functions(parse(path))
        if code_lines(f) > LONGEST_FUNCTION
    ]
    assert not long, f"'{name_of(path)}': split {', '.join(long)}"


@package_modules
def test_modules_say_what_they_are_for(path: Path) -> None:
    """Every module of the package starts with a sentence."""
    first = (ast.get_docstring(parse(path)) or "").split("\n\n", maxsplit=1)[0]
    assert first.rstrip().endswith((".", ":", "!", "?")), f"'{name_of(path)}' starts with {first!r}"


@package_modules
def test_annotations_stay_objects(path: Path) -> None:
    """No module postpones its annotations: they are resolved where they are written."""
    assert "__future__.annotations" not in imported(parse(path))


@package_modules
def test_signatures_are_inspected_in_one_module(path: Path) -> None:
    """Only handlers/signature.py looks at signatures and type hints."""
    if name_of(path) == "daprflow/handlers/signature.py":
        return
    looking = [
        name
        for name in imported(parse(path))
        if below(name, "inspect", "typing.get_type_hints", "annotationlib")
    ]
    assert not looking, f"'{name_of(path)}' imports {', '.join(looking)}"


@pytest.mark.parametrize("path", modules("daprflow/protocol"), ids=name_of)
def test_protocol_needs_little(path: Path) -> None:
    """A module of protocol imports the standard library, msgspec, errors and its siblings."""
    allowed = {*sys.stdlib_module_names, "msgspec"}
    if path.name == "expressions.py":
        allowed.add("cel")
    if path.name == "messages.py":
        allowed |= {"dapr", "google"}
    foreign = [
        name
        for name in imported(parse(path))
        if name.split(".")[0] not in allowed
        and not below(name, "daprflow.errors", "daprflow.protocol")
    ]
    assert not foreign, f"'{name_of(path)}' imports {', '.join(foreign)}"


@pytest.mark.parametrize("path", modules("tests"), ids=name_of)
def test_tests_state_facts(path: Path) -> None:
    """Every test has a docstring, and none is faked with unittest.mock."""
    tree = parse(path)
    silent = [
        f.name
        for f in functions(tree)
        if f.name.startswith("test_")
        and ast.get_docstring(f) is None
        and path.name.startswith("test_")
    ]
    assert not silent, f"'{name_of(path)}': say what {', '.join(silent)} state"
    assert not [name for name in imported(tree) if below(name, "unittest.mock", "mock")]


@pytest.mark.parametrize("path", modules("examples", "tests"), ids=name_of)
def test_nothing_sleeps_for_luck(path: Path) -> None:
    """Neither examples nor tests call time.sleep, and examples do not sleep at all."""
    tree = parse(path)
    calls = {
        ast.unparse(node.func)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute)
    }
    sleeps = (
        {"time.sleep"}
        if path.is_relative_to(ROOT / "tests")
        else {"time.sleep", "asyncio.sleep", "sleep"}
    )
    assert not calls & sleeps


@pytest.mark.parametrize(
    "path",
    [
        *modules("daprflow", "examples", "tests", "benchmarks"),
        *sorted(ROOT.glob("*.toml")),
        *sorted(ROOT.glob("*.md")),
        *sorted(ROOT.glob("docs/**/*.md")),
        ROOT / "tox.ini",
        ROOT / ".ci/run",
    ],
    ids=name_of,
)
def test_no_machine_is_named(path: Path) -> None:
    """No file names a folder of the machine that it was written on."""
    home = re.compile(r"(?<![\w.])/(?:root|home/\w+|work|Users/\w+)/[\w.]")
    assert not home.findall(path.read_text(encoding="utf-8"))


def test_importing_the_package_is_cheap() -> None:
    """``import daprflow`` loads nothing that only a tool, the sidecar or one block needs."""
    script = "import sys, daprflow; print(*sys.modules, sep='\\n')"
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout.split()
    assert [name for name in loaded if below(name, *HEAVY)] == []
    assert not [name for name in loaded if below(name, "daprflow.sidecar", "daprflow.cli")]


def test_exports_are_sorted_and_exist() -> None:
    """The root's exports are sorted, unique, and importable."""
    names = list(daprflow.__all__)
    assert names == sorted(set(names))
    assert [name for name in names if not hasattr(daprflow, name)] == []


def test_changelog_knows_the_version() -> None:
    """The newest entry of the changelog is Unreleased or the version of the project."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    entries = re.findall(r"^## \[([^\]]+)\]", changelog, flags=re.MULTILINE)
    released = [entry for entry in entries if entry != "Unreleased"]
    assert entries[0] == "Unreleased"
    assert not released or released[0] == project["version"]


def test_every_dependency_is_justified() -> None:
    """Each direct dependency has a row in the decision about dependencies."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    page = (ROOT / "docs/adr/0001-dependencies.md").read_text(encoding="utf-8")
    names = [re.split(r"[<>=;\[ ]", line, maxsplit=1)[0] for line in project["dependencies"]]
    assert [name for name in names if f"| {name} |" not in page] == []
