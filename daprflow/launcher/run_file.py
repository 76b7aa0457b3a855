"""Reads a template of several apps: each mistake is named with its line, all of them at once."""

import difflib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from daprflow.launcher.exits import Exit, LaunchError
from daprflow.protocol.run_file import FILE, LogDestination, RunFile, RunFileApp, RunFileCommon
from daprflow.sidecar.resource_fields import as_text
from daprflow.sidecar.resource_yaml import YamlError, YamlMapping, read_document

STANDARD_INPUT = "-"
HIGHEST_PORT = 65535

S = TypeVar("S", bound=RunFileCommon)


@dataclass(frozen=True, slots=True)
class Section:
    """An app of a template, or what all of them share, and where each field of it stands."""

    mapping: YamlMapping

    def place(self, field: str = "") -> str:
        """Return ``file:line`` of a field by its name in the file; of the section without one."""
        return self.mapping.place(field)


@dataclass(frozen=True, slots=True)
class Template:
    """A template as it was read.

    Attributes:
        file: where it was read from, as the user named it.
        folder: the absolute one that its relative paths start from.
        common: where what all share stands.
        apps: where each app stands.
    """

    file: Path
    folder: Path
    document: RunFile
    common: Section
    apps: tuple[Section, ...]


def read_template(named: str, base: Path) -> Template:
    """Read a file, the ``dapr.yaml`` of a folder, or standard input (``-``).

    Raises:
        LaunchError: it cannot be read or is no template; every problem at once.
    """
    if named == STANDARD_INPUT:
        return parse_template(sys.stdin.read(), Path("<stdin>"), base)
    file = Path(named)
    if (base / file).is_dir():
        file = file / FILE
    try:
        text = (base / file).read_text(encoding="utf-8")
    except OSError as error:
        raise LaunchError(f"cannot read '{file}': {error.strerror}", Exit.USAGE) from None
    except UnicodeDecodeError:
        raise LaunchError(f"'{file}' is no text in UTF-8", Exit.USAGE) from None
    return parse_template(text, file, (base / file).resolve().parent)


def parse_template(text: str, file: Path, folder: Path) -> Template:
    """Read the text of a template.

    Args:
        text: YAML.
        file: where it stands, for errors.
        folder: what relative paths in it start from.

    Raises:
        LaunchError: it is no template; every problem at once.
    """
    try:
        found = read_document(text, file, 1)
    except YamlError as error:
        raise LaunchError(str(error), Exit.USAGE) from None
    if found is None:
        raise LaunchError(
            f"'{file}' is no template: it needs 'version: 1' and a list of 'apps'", Exit.USAGE
        )
    reader = _Reader()
    document = reader.document(found)
    if reader.problems:
        raise LaunchError("\n".join(reader.problems), Exit.USAGE)
    common = found.get("common")
    shared = common if isinstance(common, YamlMapping) else found
    return Template(file, folder, document, Section(shared), tuple(map(Section, found["apps"])))


class _Reader:
    """Turns mappings into values, and collects what is wrong with them."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def document(self, found: YamlMapping) -> RunFile:
        known = ("version", "name", "common", "apps")
        self._refuse_unknown(found, "the template", known)
        version = found.get("version")
        if not isinstance(version, int) or isinstance(version, bool) or not version:
            self._problem(found, "version", "the template needs 'version: 1'")
        common = found.get("common")
        if common is not None and not isinstance(common, YamlMapping):
            self._problem(found, "common", "'common' must be a mapping")
            common = None
        shared = RunFileCommon() if common is None else self._section(common, RunFileCommon, "")
        return RunFile(
            version=version if isinstance(version, int) else 0,
            name=found.texts.get("name", ""),
            common=shared,
            apps=self._apps(found),
        )

    def _apps(self, found: YamlMapping) -> tuple[RunFileApp, ...]:
        apps = found.get("apps")
        if not isinstance(apps, list) or not apps:
            self._problem(found, "apps", "'apps' must be a list of at least one app")
            return ()
        if not all(isinstance(app, YamlMapping) for app in apps):
            self._problem(found, "apps", "each of 'apps' must be a mapping")
            return ()
        return tuple(
            self._section(app, RunFileApp, self._name(app, number))
            for number, app in enumerate(apps, 1)
        )

    @staticmethod
    def _name(app: YamlMapping, number: int) -> str:
        name = app.get("appID") or app.get("appDirPath") or app.get("target")
        return f"app '{name}'" if isinstance(name, str) else f"app {number}"

    def _section(self, found: YamlMapping, kind: type[S], name: str) -> S:
        fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
        self._refuse_unknown(found, name or "'common'", tuple(fields))
        values: dict[str, Any] = {}
        for key, value in found.items():
            field = fields.get(key)
            if field is None or value is None:
                continue
            try:
                values[field.name] = _converted(field.type, value, found, key)
            except ValueError as error:
                owner = f"{name}: " if name else ""
                self._problem(found, key, f"{owner}'{key}' {error}")
        return kind(**values)

    def _refuse_unknown(self, found: YamlMapping, owner: str, known: Sequence[str]) -> None:
        for key in found:
            if key in known:
                continue
            if known == tuple(_COMMON) and key in _APP:
                self._problem(found, key, f"'{key}' belongs to an app, not to 'common'")
                continue
            self._problem(found, key, f"{owner} has no field '{key}'{_hint(key, known)}")

    def _problem(self, found: YamlMapping, key: str, text: str) -> None:
        self.problems.append(f"{found.place(key)}: {text}")


_COMMON = tuple(field.encode_name for field in msgspec.structs.fields(RunFileCommon))
_APP = tuple(field.encode_name for field in msgspec.structs.fields(RunFileApp))


def _hint(key: str, known: Sequence[str]) -> str:
    """Name the field that was meant, as far as that can be told."""
    lowered = {name.lower(): name for name in known}
    near = difflib.get_close_matches(key.lower(), lowered, 1, 0.6)
    return f"; did you mean '{lowered[near[0]]}'?" if near else f"; it has {', '.join(known)}"


def _converted(kind: Any, value: object, found: YamlMapping, key: str) -> object:
    """Return a value as its field has it.

    Raises:
        ValueError: it is of another type; the text goes on after the field's name.
    """
    if kind is bool:
        return _truth(value)
    if kind is int:
        return _number(value, key)
    if kind is str or kind == str | None:
        return _text(value, found.texts.get(key))
    if kind == LogDestination | None:
        return _destination(found.texts.get(key, ""))
    if kind == Mapping[str, str]:
        return _texts_by_name(value)
    return _list(value)


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")  # noqa: TRY004 - one kind of error for a caller
    return value


def _number(value: object, key: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError("must be a whole number")  # noqa: TRY004 - as above
    if key.endswith("Port") and value > HIGHEST_PORT:
        raise ValueError(f"is no port: {value}")
    if key == "replicas" and value < 1:
        raise ValueError("must be 1 or more")
    return value


def _text(value: object, written: str | None) -> str:
    if written is None:
        raise ValueError("must be a text")
    return value if isinstance(value, str) else written


def _destination(text: str) -> LogDestination:
    try:
        return LogDestination(text)
    except ValueError:
        raise ValueError(f"must be one of {', '.join(LogDestination)}") from None


def _texts_by_name(value: object) -> dict[str, str]:
    if not isinstance(value, YamlMapping) or set(value) - set(value.texts):
        raise ValueError("must be a mapping of names to texts")
    return {name: "" if each is None else value.texts[name] for name, each in value.items()}


def _list(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError('must be a list, such as ["python3", "app.py"]')  # noqa: TRY004 - as above
    if not all(isinstance(item, str | int | float) for item in value):
        raise ValueError("must be a list of texts")
    return tuple(map(as_text, value))
