"""A new project: from a name to its files."""

import keyword
import re
import sys
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable

from daprflow.launcher.exits import Exit, LaunchError

HERE = "daprflow.templates"
_STARTER = "starter"
"""The app id that the templates have."""
_COMMON = {
    "README.md": "README.md",
    "daprflow.toml": "daprflow.toml",
    "gitignore.txt": ".gitignore",
    "pyproject.txt": "pyproject.toml",
    "vscode/launch.json": ".vscode/launch.json",
    "vscode/tasks.json": ".vscode/tasks.json",
}
"""What every project has, with its place there."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[-_. ][A-Za-z0-9]+)*")
_TAKEN = frozenset({"daprflow", "pytest", "tests", "app"})
_LONGEST = 50
"""Letters of a name: an app id becomes a label of Kubernetes, which has 63 at most."""


class Template(StrEnum):
    """What a project begins with."""

    SERVICE = "service"
    WORKFLOW = "workflow"
    ACTOR = "actor"


@dataclass(frozen=True, slots=True)
class Names:
    """What a project is called: as a Python package, and as an app of Dapr."""

    package: str
    app_id: str


@dataclass(frozen=True, slots=True)
class ProjectFile:
    """A file of a project: ``path`` has ``/`` between its parts."""

    path: str
    text: str


def names_of(name: str) -> Names:
    """Return what a project called ``name`` is called elsewhere: ``my-shop`` and ``my_shop``.

    Raises:
        LaunchError: no package can have that name, exit code `Exit.USAGE`.
    """
    if not _NAME.fullmatch(name):
        raise LaunchError(
            f"'{name}' is no name for a project: begin with a letter, and use letters, digits and "
            "single dashes, such as 'my-shop'",
            Exit.USAGE,
        )
    package = re.sub(r"[-. ]", "_", name.lower())
    if len(package) > _LONGEST:
        raise LaunchError(f"'{name}' is longer than {_LONGEST} letters; shorten it", Exit.USAGE)
    if keyword.iskeyword(package) or package in _TAKEN or package in sys.stdlib_module_names:
        raise LaunchError(
            f"'{name}' cannot be a project: its package '{package}' would hide one that Python or "
            "the project itself has; choose another name",
            Exit.USAGE,
        )
    return Names(package, package.replace("_", "-"))


def project(names: Names, template: Template) -> tuple[ProjectFile, ...]:
    """Return the files of a project."""
    package, app_id = names.package, names.app_id
    home = files(HERE)
    own = home / template
    fields = {
        "{app}": app_id,
        "{package}": package,
        "{version}": version("daprflow"),
        "{try}": _text(own, "try.md").replace(_STARTER, app_id),
    }
    common = (
        ProjectFile(place, _filled(_text(home / "common", name), fields))
        for name, place in _COMMON.items()
    )
    app = _text(own, "app.py").replace(f'"{_STARTER}"', f'"{app_id}"')
    app = app.replace("\n\nfrom daprflow", "\nfrom daprflow", 1)  # no package of the project's own
    return (
        *common,
        ProjectFile(f"{package}/__init__.py", f'"""The app \'{app_id}\'."""\n'),
        ProjectFile(f"{package}/app.py", app),
        ProjectFile("tests/test_app.py", _of_project(_text(own, "test_app.py"), package)),
    )


def _text(folder: Traversable, name: str) -> str:
    return folder.joinpath(*name.split("/")).read_text(encoding="utf-8")


def _filled(text: str, fields: dict[str, str]) -> str:
    for field, value in fields.items():
        text = text.replace(field, value)
    return text


def _of_project(text: str, package: str) -> str:
    """Have a test import the app from its package, below all other imports."""
    found = re.search(rf"^from {HERE}\.\w+\.app (import .*)\n", text, re.MULTILINE)
    if found is None:
        return text
    rest = text.replace(found[0], "", 1)
    last = [*re.finditer(r"^(?:from|import) .*\n", rest, re.MULTILINE)][-1].end()
    return f"{rest[:last]}\nfrom {package}.app {found[1]}\n{rest[last:]}"
