"""The resource files of a run: components as YAML has them, and what is wrong with them."""

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from daprflow.protocol.resources import ComponentResource
from daprflow.sidecar.components.registry import COMPONENTS, supported
from daprflow.sidecar.resource_document import DocumentError, read_component
from daprflow.sidecar.resource_yaml import YamlError, read_document

logger = logging.getLogger(__name__)

_SUFFIXES = frozenset({".yaml", ".yml"})
_LARGEST = 1024 * 1024
_SEPARATOR = re.compile(r"^---(?:[ \t].*)?$", re.MULTILINE)
_VERSIONS = frozenset({"", "v1"})
_GROUP = "dapr.io/"
_NEXT = "run with a real runtime, or take it out"


@dataclass(frozen=True, slots=True)
class Resources:
    """The resources of a run.

    Attributes:
        components: in the order of their files.
        problems: one line each: file, line, object, what to do.
    """

    components: tuple[ComponentResource, ...] = ()
    problems: tuple[str, ...] = ()


def load_resources(paths: Sequence[Path], app_id: str = "", *, namespace: str = "") -> Resources:
    """Read the ``*.yaml`` and ``*.yml`` files directly in each folder, in order of their names.

    Args:
        paths: the folders.
        app_id: leaves out what is scoped to other apps; empty keeps everything.
        namespace: leaves out components of another namespace; empty keeps everything.

    Returns:
        what could be read, with a problem for everything that could not.
    """
    found: list[ComponentResource] = []
    problems: list[str] = []
    for file in _files(paths, problems):
        for line, text in _documents(file, problems):
            try:
                component = _component(file, line, text)
            except (YamlError, DocumentError) as error:
                problems.append(str(error))
                continue
            if component is not None and _visible(component, app_id, namespace):
                found.append(component)
    problems.extend(_checks(found))
    return Resources(tuple(found), tuple(problems))


def _files(paths: Sequence[Path], problems: list[str]) -> Iterator[Path]:
    for folder in paths:
        if not folder.is_dir():
            what = "is not a folder" if folder.exists() else "does not exist"
            problems.append(
                f"resources folder '{folder}' {what}; name the folder that holds the files"
            )
            continue
        yield from sorted(
            file for file in folder.iterdir() if file.suffix in _SUFFIXES and file.is_file()
        )


def _documents(file: Path, problems: list[str]) -> Iterator[tuple[int, str]]:
    """Yield each document of a file with the number of its first line."""
    try:
        raw = file.read_bytes()
        if len(raw) > _LARGEST:
            problems.append(f"{file} is larger than {_LARGEST} bytes; split it")
            return
        text = raw.decode("utf-8-sig").replace("\r\n", "\n")
    except OSError as error:
        problems.append(f"{file} cannot be read: {error.strerror}; check its permissions")
        return
    except UnicodeDecodeError as error:
        problems.append(f"{file} is not UTF-8 (byte {error.start}); save it as UTF-8")
        return
    line, start = 1, 0
    for separator in _SEPARATOR.finditer(text):
        yield line, text[start : separator.start()]
        line = text.count("\n", 0, separator.end()) + 1
        start = separator.start() + len("---")
    yield line, text[start:]


def _component(file: Path, line: int, text: str) -> ComponentResource | None:
    """Return the component of one document, None when it is another kind of thing."""
    document = read_document(text, file, line)
    if document is None:
        return None
    kind, version = document.get("kind"), document.get("apiVersion")
    if kind != "Component" or not str(version).startswith(_GROUP):
        if str(version).startswith(_GROUP):
            place = f"{file}:{document.line}"
            logger.warning("%s: kind '%s' is not read by the embedded sidecar", place, kind)
        return None
    return read_component(document)


def _visible(component: ComponentResource, app_id: str, namespace: str) -> bool:
    if app_id and component.scopes and app_id not in component.scopes:
        return False
    return not (namespace and component.namespace and component.namespace != namespace)


def _checks(components: Sequence[ComponentResource]) -> Iterator[str]:
    """Find what no single document shows: unknown types, and names that are taken."""
    first: dict[str, list[ComponentResource]] = {}
    for component in components:
        if not component.ignore_errors:
            yield from _check_type(component)
        for other in first.setdefault(component.name, []):
            if _meet(component, other):
                yield (
                    f"{component.source}: component '{component.name}' is defined already at "
                    f"{other.source}; rename one, or give them different scopes"
                )
                break
        first[component.name].append(component)


def _check_type(component: ComponentResource) -> Iterator[str]:
    if component.type not in COMPONENTS:
        known = ", ".join(supported(component.kind))
        yield (
            f"{component.source}: component '{component.name}' has type '{component.type}', which "
            f"the embedded sidecar does not have (it has {known}); {_NEXT}"
        )
    elif component.version not in _VERSIONS:
        yield (
            f"{component.source}: component '{component.name}' asks for version "
            f"'{component.version}' of '{component.type}'; the embedded sidecar has v1"
        )


def _meet(one: ComponentResource, other: ComponentResource) -> bool:
    """Whether some app sees both."""
    return not one.scopes or not other.scopes or not set(one.scopes).isdisjoint(other.scopes)
