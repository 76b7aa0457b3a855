"""Where a stand-in keeps its files: below the data folder, whatever its component is called."""

import hashlib
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


def _file_name(component: str) -> str:
    name = quote(component, safe=" ", errors="surrogatepass")
    if name.startswith("."):
        name = f"%2E{name[1:]}"
    if len(name) <= _LONGEST:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:_DIGEST]
    return f"{name[: _LONGEST - _DIGEST - 2]}%-{digest}"  # a '%' that no other name has
