"""The house rules that can be checked: sizes, names of imports, docstrings, exports, versions."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import daprflow

ROOT = Path(__file__).parents[2]
LONGEST_MODULE = 600
LONGEST_FUNCTION = 60

# What importing daprflow must not pull in: each costs start-up time that an app may never need.
HEAVY = (
    "aiohttp",
    "asyncpg",
    "cel",
    "cryptography",
    "dapr",
    "google.protobuf",
    "grpc",
    "jwt",
    "opentelemetry",
    "prometheus_client",
    "redis",
    "rich",
    "stamina",
    "structlog",
    "typer",
    "uvicorn",
    "yaml",
)
WORKFLOWS = (
    "daprflow.client.sync_workflows",
    "daprflow.client.workflow_calls",
    "daprflow.client.workflow_listing",
    "daprflow.client.workflow_runs",
    "daprflow.protocol.history",
    "daprflow.protocol.workflow_actions",
    "daprflow.workflows.context",
    "daprflow.workflows.runner",
    "daprflow.workflows.values",
)
OBSERVING = (
    "daprflow.observability.logging_options",
    "daprflow.observability.metrics_options",
    "daprflow.observability.redaction",
    "daprflow.observability.tracing_options",
    "daprflow.observability.watching",
    "daprflow.health.service",
)

Function = ast.FunctionDef | ast.AsyncFunctionDef


def modules(*folders: str) -> list[Path]:
    """Every Python file below the project's ``folders``."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def name_of(path: Path) -> str:
    """The path as seen from the project's root."""
    return path.relative_to(ROOT).as_posix()


def parse(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=name_of(path))


def functions(tree: ast.AST) -> Iterator[Function]:
    """Every function and method in ``tree``."""
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def imported(path: Path) -> Iterator[str]:
    """Every dotted name that a module imports, at whatever depth it stands."""
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def importing(paths: list[Path], *names: str) -> list[str]:
    """Which modules import one of ``names`` or something inside it."""
    return [
        f"{name_of(path)}: {name}"
        for path in paths
        for name in imported(path)
        if below(name, *names)
    ]


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


def test_modules_stay_small() -> None:
    """No module of the package is longer than 600 lines: it is split by its nouns."""
    lines = {
        name_of(path): path.read_text(encoding="utf-8").count("\n") for path in modules("daprflow")
    }
    assert {name: count for name, count in lines.items() if count > LONGEST_MODULE} == {}


def test_functions_stay_short() -> None:
    """No function of the package is longer than 60 lines."""
    assert [
        f"{name_of(path)}:{function.lineno} {function.name}"
        for path in modules("daprflow")
        for function in functions(parse(path))
        if code_lines(function) > LONGEST_FUNCTION
    ] == []


def test_modules_say_what_they_are_for() -> None:
    """Every module of the package starts with a sentence."""
    firsts = {
        name_of(path): (ast.get_docstring(parse(path)) or "").split("\n\n", maxsplit=1)[0]
        for path in modules("daprflow")
    }
    assert [name for name, first in firsts.items() if not first.endswith((".", ":", "?"))] == []


def test_annotations_stay_objects() -> None:
    """No module postpones its annotations: they are resolved where they are written."""
    everything = modules("daprflow", "tests", "examples", "benchmarks")
    assert importing(everything, "__future__.annotations") == []


def test_signatures_are_inspected_in_one_module() -> None:
    """Only handlers/signature.py looks at signatures and hints; a command may build its own."""
    others = [
        path
        for path in modules("daprflow")
        if not path.match("handlers/signature.py") and not path.match("daprflow/cli/*.py")
    ]
    assert importing(others, "inspect", "typing.get_type_hints", "annotationlib") == []


def test_protocol_needs_little() -> None:
    """A module of protocol imports the standard library, msgspec, errors and its siblings."""
    usual = {*sys.stdlib_module_names, "msgspec"}
    besides = {
        "expressions.py": {"cel"},
        "messages.py": {"dapr", "google"},
        "workflow_messages.py": {"dapr", "google"},
    }
    assert [
        f"{name_of(path)}: {name}"
        for path in modules("daprflow/protocol")
        for name in imported(path)
        if name.split(".")[0] not in usual | besides.get(path.name, set())
        and not below(name, "daprflow.errors", "daprflow.protocol")
    ] == []


def test_tests_state_facts() -> None:
    """Every test has a docstring."""
    assert [
        f"{name_of(path)}:{function.lineno} {function.name}"
        for path in modules("tests", "examples")
        if path.name.startswith("test_") or "conformance" in path.parts
        for function in functions(parse(path))
        if function.name.startswith("test_") and ast.get_docstring(function) is None
    ] == []


def test_nothing_is_mocked() -> None:
    """Tests use real parts or written fakes, never unittest.mock."""
    assert importing(modules("tests", "examples"), "unittest.mock", "mock") == []


def test_nothing_sleeps_for_luck() -> None:
    """Tests never call time.sleep; examples do not sleep, but for what was before a migration."""
    banned = {"tests": {"time.sleep"}, "examples": {"time.sleep", "asyncio.sleep", "sleep"}}
    assert [
        f"{name_of(path)}:{node.lineno}"
        for folder, names in banned.items()
        for path in modules(folder)
        if path.name != "before.py"
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in names
    ] == []


def test_no_machine_is_named() -> None:
    """No file names a folder of the machine that it was written on."""
    home = re.compile(r"(?<![\w./])/(?:root|home/\w+|work|Users/\w+)/[\w.]")
    files = [
        *modules("daprflow", "examples", "tests", "benchmarks"),
        *(path for kind in ("*.toml", "*.md", "*.yml", "*.ini") for path in ROOT.glob(kind)),
        *(ROOT / "docs").rglob("*.md"),
        ROOT / ".ci" / "run",
    ]
    assert [name_of(path) for path in files if home.search(path.read_text(encoding="utf-8"))] == []


def test_importing_the_package_is_cheap() -> None:
    """``import daprflow`` loads nothing that only a tool, the sidecar or one block needs."""
    script = "import sys, daprflow; print(*sys.modules, sep='\\n')"
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout.split()
    later = ("starlette.routing", "daprflow.handlers.compile")
    tools = ("daprflow.sidecar", "daprflow.launcher", "daprflow.cli")
    unwanted = (*HEAVY, *later, *WORKFLOWS, *OBSERVING, *tools)
    assert [name for name in loaded if below(name, *unwanted)] == []


def test_exports_are_sorted_and_exist() -> None:
    """The root's exports are sorted, unique, and importable."""
    names = list(daprflow.__all__)
    assert names == sorted(set(names))
    assert [name for name in names if not hasattr(daprflow, name)] == []


def test_changelog_knows_the_version() -> None:
    """The changelog starts with Unreleased; the newest release in it is the project's version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    first, *released = re.findall(r"^## \[([^\]]+)\]", changelog, flags=re.MULTILINE)
    assert first == "Unreleased"
    assert not released or released[0] == project["version"]


def test_every_dependency_is_justified() -> None:
    """The decision about dependencies has a row for each direct one, and no other."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    page = (ROOT / "docs" / "adr" / "0001-dependencies.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([\w.-]+) \|", page, flags=re.MULTILINE)
    extras = project["optional-dependencies"].values()
    lines = {*project["dependencies"], *(line for extra in extras for line in extra)}
    names = {re.split(r"[<>=;\[ ]", line, maxsplit=1)[0] for line in lines}
    assert sorted(rows) == sorted({*names, "dependency"})
