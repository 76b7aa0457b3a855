"""``daprflow.toml``: the file of a folder that says what flags and code do not."""

import tomllib
from pathlib import Path
from typing import Any

from daprflow.launcher.exits import Exit, LaunchError

FILE = "daprflow.toml"


def read_toml(folder: Path) -> dict[str, Any]:
    """Return what the file in ``folder`` holds, unchecked; it is empty without a file.

    Raises:
        LaunchError: it cannot be read, or is no TOML, exit code `Exit.USAGE`.
    """
    file = folder / FILE
    if not file.is_file():
        return {}
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise LaunchError(f"cannot read '{file}': {error.strerror}", Exit.USAGE) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise LaunchError(f"'{file}' is no TOML: {error}", Exit.USAGE) from None
