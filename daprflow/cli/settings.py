"""``daprflow.toml``: defaults of the options, from the working folder."""

import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from daprflow.launcher.exits import Exit, LaunchError

FILE = "daprflow.toml"
Settings = dict[str, dict[str, Any]]


def defaults(folder: Path, commands: Collection[str]) -> Settings:
    """Read the options of each command; keys at the top level count for every command.

    A table named as a command, such as ``[run]``, goes before them.

    Raises:
        LaunchError: the file cannot be read, exit code `Exit.USAGE`.
    """
    file = folder / FILE
    if not file.is_file():
        return {}
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise LaunchError(f"cannot read '{file}': {error.strerror}", Exit.USAGE) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise LaunchError(f"'{file}' is no TOML: {error}", Exit.USAGE) from None
    everywhere = {key: value for key, value in document.items() if not isinstance(value, dict)}
    tables = {key: value for key, value in document.items() if isinstance(value, dict)}
    unknown = sorted(tables.keys() - set(commands))
    if unknown:
        raise LaunchError(
            f"'{file}' has a table [{unknown[0]}], which is no command; "
            f"there are {', '.join(commands)}",
            Exit.USAGE,
        )
    return {name: _named(everywhere | tables.get(name, {})) for name in commands}


def _named(options: Mapping[str, Any]) -> dict[str, Any]:
    return {key.replace("-", "_"): value for key, value in options.items()}
