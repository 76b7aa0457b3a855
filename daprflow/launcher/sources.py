"""Which Python files each app of a run was made of, to tell whom a change concerns."""

import sys
from collections.abc import Iterator
from pathlib import Path


def loaded_below(root: Path) -> Iterator[str]:
    """Yield the files below ``root`` of the modules that this process has imported."""
    folder = root.resolve()
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if file is not None and (path := Path(file).resolve()).is_relative_to(folder):
            yield str(path)


class Sources:
    """What the apps of a run have imported, as each of them told."""

    def __init__(self) -> None:
        self._files: dict[str, frozenset[str]] = {}

    def told(self, name: str, files: tuple[str, ...]) -> None:
        """Take what an app has imported; nothing where it is not known."""
        self._files[name] = frozenset(files)

    def concern(self, name: str, file: Path) -> bool:
        """Tell whether a change of a file is one of an app.

        What several apps have imported concerns all of them, and what none has, whoever lies
        above it: it may be new, or imported later.
        """
        own = self._files.get(name)
        text = str(file.resolve())
        if not own or text in own:
            return True
        return not any(text in files for files in self._files.values())
