"""The paths of one section of a template: from its folder, ``~`` expanded, each has to exist."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from daprflow.launcher.run_file import Section
from daprflow.protocol.run_file import RunFileCommon


class Paths:
    """The paths of one section, relative to its folder; each has to exist."""

    def __init__(
        self, section: Section, folder: Path, env: Mapping[str, str], problems: list[str]
    ) -> None:
        self._section = section
        self._folder = folder
        self._env = env
        self._problems = problems

    def one(self, field: str, text: str, fits: Callable[[Path], bool], kind: str) -> Path | None:
        """Return an absolute path; None where there is no such thing, which is noted."""
        home = self._env.get("HOME", "~")
        if text == "~" or text.startswith("~/"):
            text = home + text[1:]
        path = Path(os.path.normpath(self._folder / text))
        if fits(path):
            return path
        problem = f"{self._section.place(field)}: {field} '{text}' is no {kind}: there is no {path}"
        if problem not in self._problems:
            self._problems.append(problem)
        return None

    def folders(self, entry: RunFileCommon) -> tuple[Path, ...]:
        """Return the resource folders, in the order in which they count."""
        named = [("resourcesPaths", text) for text in entry.resources_paths]
        if entry.resources_path:
            named.append(("resourcesPath", entry.resources_path))
        found = [self.one(field, text, Path.is_dir, "folder") for field, text in named]
        return tuple(path for path in found if path is not None)

    def configuration(self, entry: RunFileCommon) -> tuple[Path, ...]:
        """Return the Configuration file; none where none is named."""
        text = entry.config_file_path
        found = self.one("configFilePath", text, Path.is_file, "file") if text else None
        return () if found is None else (found,)
