"""The project that an app belongs to: the folder it is built from, and what pip installs for it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from daprflow.manifests.model import AppFacts

PYTHON = "3.13"
"""The minor version of Python where the project does not say."""
_VERSION_FILE = ".python-version"
_VERSION = re.compile(r"(3\.\d+)(?:\.\d+)?")
_END = ".git"
_INSTALLED: Mapping[str, tuple[str, ...]] = {
    "requirements.txt": ("-r", "requirements.txt"),
    "pyproject.toml": (".",),
}
"""What marks a project, the best first, and what pip is told to install then."""


@dataclass(frozen=True, slots=True)
class Project:
    """A project.

    Attributes:
        folder: where it lies; images are built from it.
        path: from there to the folder that goes first on ``sys.path``; ``.`` for itself.
        requirements: what pip installs; empty where the project does not say.
        python: the minor version, such as ``3.13``.
    """

    folder: Path
    path: str
    requirements: tuple[str, ...]
    python: str

    @property
    def installs_itself(self) -> bool:
        """Whether the whole of it is needed to install what it needs."""
        return self.requirements == (".",)


def project_of(facts: AppFacts) -> Project:
    """Find the project of an app: the nearest folder upwards that says what is to be installed.

    Nothing above a repository is looked at; without such a folder it is the app's own.
    """
    root = Path(facts.root)
    for folder in (root, *root.parents):
        for name, words in _INSTALLED.items():
            if (folder / name).is_file():
                path = root.relative_to(folder).as_posix()
                return Project(folder, path, words, _python(folder))
        if (folder / _END).exists():
            break
    return Project(root, ".", (), _python(root))


def _python(folder: Path) -> str:
    try:
        text = (folder / _VERSION_FILE).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return PYTHON
    found = _VERSION.fullmatch(text)
    return found[1] if found else PYTHON
