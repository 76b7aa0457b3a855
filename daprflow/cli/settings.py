"""``daprflow.toml``: defaults of the options, from the working folder."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daprflow.launcher.exits import Exit, LaunchError
from daprflow.launcher.settings_file import FILE, read_toml

Settings = dict[str, dict[str, Any]]
TYPED = frozenset({"manifests"})
"""Tables that are no options: their commands read them by themselves."""


@dataclass(frozen=True, slots=True)
class Option:
    """An option as the file knows it.

    Attributes:
        parameter: the parameter behind it.
        many: whether it may be given several times; the file then has a list, or one value.
    """

    parameter: str
    many: bool = False


def defaults(folder: Path, commands: Collection[str]) -> Settings:
    """Read the options of each command; keys at the top level count for every command.

    A table named as a command, such as ``[run]``, goes before them.

    Raises:
        LaunchError: the file cannot be read, exit code `Exit.USAGE`.
    """
    document = read_toml(folder)
    if not document:
        return {}
    everywhere = {key: value for key, value in document.items() if not isinstance(value, dict)}
    tables = {key: value for key, value in document.items() if isinstance(value, dict)}
    unknown = sorted(tables.keys() - set(commands))
    if unknown:
        raise LaunchError(
            f"'{folder / FILE}' has a table [{unknown[0]}], which is no command; "
            f"there are {', '.join(commands)}",
            Exit.USAGE,
        )
    own = {name: table for name, table in tables.items() if name not in TYPED}
    return {name: _named(everywhere | own.get(name, {})) for name in commands}


def by_parameter(
    settings: Settings, options_of: Callable[[str], Mapping[str, Option]]
) -> dict[str, dict[str, Any]]:
    """Return the settings under the names of the commands' parameters.

    Args:
        settings: what `defaults` read.
        options_of: the options of a command by their names.

    Raises:
        LaunchError: a setting is an option of no command, exit code `Exit.USAGE`.
    """
    given = {name for options in settings.values() for name in options}
    if not given:
        return {}
    options = {command: options_of(command) for command in settings}
    unknown = sorted(given - {name for known in options.values() for name in known})
    if unknown:
        raise LaunchError(
            f"'{FILE}' sets '{unknown[0]}', which is an option of no command; "
            "see 'daprflow run --help'",
            Exit.USAGE,
        )
    return {
        command: {
            option.parameter: [value] if option.many and not isinstance(value, list) else value
            for name, value in values.items()
            if (option := options[command].get(name)) is not None
        }
        for command, values in settings.items()
    }


def _named(options: Mapping[str, Any]) -> dict[str, Any]:
    return {key.replace("-", "_"): value for key, value in options.items()}
