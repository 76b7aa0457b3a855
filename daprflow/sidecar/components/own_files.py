"""Where a stand-in keeps its files: below the data folder, whatever its component is called."""

import hashlib
import tempfile
from pathlib import Path
from urllib.parse import quote

_LONGEST = 150
_DIGEST = 32


def own_file(data_dir: Path, kind: str, component: str, suffix: str = "") -> Path:
    """Return the path that belongs to one component; no two have the same.

    Args:
        data_dir: the engine's data folder.
        kind: the folder in it that holds the files of this kind.
        component: the component's name, which may be any text.
        suffix: put after the file's name.
    """
    return data_dir.absolute() / kind / f"{_file_name(component)}{suffix}"


class OwnFolder:
    """The folder of one component: kept in the data folder, or gone with the sidecar without one.

    Args:
        data_dir: the engine's data folder; None keeps nothing.
        kind: as in `own_file`.
        component: as in `own_file`.
    """

    def __init__(self, data_dir: Path | None, kind: str, component: str) -> None:
        self._kept = None if data_dir is None else own_file(data_dir, kind, component)
        self._kind = kind
        self._temporary: tempfile.TemporaryDirectory[str] | None = None

    def find(self) -> Path:
        """Return the folder; one that is kept need not exist yet."""
        if self._kept is not None:
            return self._kept
        self._temporary = tempfile.TemporaryDirectory(prefix=f"daprflow-{self._kind}-")
        return Path(self._temporary.name)

    def forget(self) -> None:
        """Remove a folder that is not to be kept."""
        if self._temporary is not None:
            self._temporary.cleanup()


def _file_name(component: str) -> str:
    name = quote(component, safe=" ", errors="surrogatepass")
    if name.startswith("."):
        name = f"%2E{name[1:]}"
    if len(name) <= _LONGEST:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:_DIGEST]
    return f"{name[: _LONGEST - _DIGEST - 2]}%-{digest}"  # a '%' that no other name has
