"""Reads a folder of manifests as they are deployed, with the line of everything in them."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from daprflow.launcher.exits import Exit, LaunchError
from daprflow.manifests.compare_model import Deployed, Found, Workload
from daprflow.manifests.compare_problem import Problem, nearest, problem
from daprflow.manifests.compare_workloads import workloads_of
from daprflow.sidecar.endpoint_document import read_endpoint
from daprflow.sidecar.resiliency_document import read_resiliency
from daprflow.sidecar.resource_document import read_component
from daprflow.sidecar.resource_fields import DocumentError
from daprflow.sidecar.resource_yaml import YamlError, YamlMapping, read_document
from daprflow.sidecar.subscription_document import read_subscription

SUFFIXES = frozenset({".yaml", ".yml"})
LARGEST = 8 * 1024 * 1024
"""Bytes of a file; what Helm renders is one file for everything."""
_SEPARATOR = re.compile(r"^---(?:[ \t].*)?$", re.MULTILINE)
_CONTENT = re.compile(r"^[ \t]*[^#\s]", re.MULTILINE)
_PLACED = re.compile(r"(?P<place>.+?:\d+): (?P<text>.*)", re.DOTALL)
_GROUP = "dapr.io/"
_VERSIONS: Mapping[str, tuple[str, ...]] = {
    "Component": ("dapr.io/v1alpha1",),
    "Subscription": ("dapr.io/v2alpha1", "dapr.io/v1alpha1"),
    "Resiliency": ("dapr.io/v1alpha1",),
    "Configuration": ("dapr.io/v1alpha1",),
    "HTTPEndpoint": ("dapr.io/v1alpha1",),
    "MCPServer": ("dapr.io/v1alpha1",),
    "WorkflowAccessPolicy": ("dapr.io/v1alpha1",),
}
_READERS: Mapping[str, Callable[[YamlMapping], Any]] = {
    "Component": read_component,
    "Subscription": read_subscription,
    "Resiliency": read_resiliency,
    "HTTPEndpoint": read_endpoint,
}
_KEYS: Mapping[str, tuple[str, ...]] = {
    "Component": ("type", "version", "metadata", "ignoreErrors", "initTimeout"),
    "Subscription": (
        "pubsubname", "topic", "route", "routes", "deadLetterTopic", "metadata", "bulkSubscribe",
    ),
    "Resiliency": ("policies", "targets"),
    "HTTPEndpoint": ("baseUrl", "headers", "clientTLS"),
}  # fmt: skip
_TOP = ("apiVersion", "kind", "metadata", "spec", "scopes", "auth", "status")


@dataclass(slots=True)
class _Read:
    """What was read so far."""

    folder: Path
    documents: list[YamlMapping] = field(default_factory=list)
    workloads: list[Workload] = field(default_factory=list)
    found: dict[str, list[Found[Any]]] = field(default_factory=dict)
    configurations: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def of(self, kind: str) -> tuple[Found[Any], ...]:
        return tuple(self.found.get(kind, ()))


def read_deployed(folder: Path) -> Deployed:
    """Read every YAML file below a folder: Kubernetes, Dapr, Compose and ``dapr.yaml``.

    Raises:
        LaunchError: there is no such folder, or no such file in it, exit code `Exit.USAGE`.
    """
    if not folder.is_dir():
        raise LaunchError(f"--manifests '{folder}' is no folder", Exit.USAGE)
    read = _Read(folder)
    files = list(_files(folder, read))
    if not files:
        reason = read.notes[0] if read.notes else "it holds no YAML file"
        raise LaunchError(f"--manifests '{folder}': {reason}", Exit.USAGE)
    for file in files:
        for line, text in _documents(file, read):
            _take(file, line, text, read)
    return Deployed(
        folder=folder,
        documents=tuple(read.documents),
        workloads=tuple(read.workloads),
        components=read.of("Component"),
        subscriptions=read.of("Subscription"),
        resiliencies=read.of("Resiliency"),
        endpoints=read.of("HTTPEndpoint"),
        configurations=read.configurations,
        problems=tuple(read.problems),
        notes=tuple(read.notes),
    )


def _files(folder: Path, read: _Read) -> Iterator[Path]:
    """Yield the files in order, hidden folders and charts that are not rendered left out."""
    if (folder / "Chart.yaml").is_file():
        read.notes.append(
            f"chart '{folder}' is not rendered and was left out: 'helm template {folder} "
            "--output-dir DIR', then check that DIR"
        )
        return
    for each in sorted(folder.iterdir()):
        if each.name.startswith("."):
            continue
        if each.is_dir():
            yield from _files(each, read)
        elif each.suffix in SUFFIXES and each.is_file():
            yield each


def _documents(file: Path, read: _Read) -> Iterator[tuple[int, str]]:
    """Yield each document of a file that says something, with the number of its first line."""
    try:
        raw = file.read_bytes()
        if len(raw) > LARGEST:
            text, remedy = f"the file is larger than {LARGEST} bytes", "split it"
            read.problems.append(problem("unreadable", f"{file}:1", text, remedy))
            return
        text = raw.decode("utf-8-sig").replace("\r\n", "\n")
    except OSError as error:
        text, remedy = f"it cannot be read: {error.strerror}", "check its permissions"
        read.problems.append(problem("unreadable", f"{file}:1", text, remedy))
        return
    except UnicodeDecodeError as error:
        text, remedy = f"it is not UTF-8 (byte {error.start})", "save it as UTF-8"
        read.problems.append(problem("unreadable", f"{file}:1", text, remedy))
        return
    line, start = 1, 0
    for separator in (*_SEPARATOR.finditer(text), None):
        end = len(text) if separator is None else separator.start()
        document = text[start:end]
        if _CONTENT.search(document):
            yield line, document
        if separator is not None:
            line = text.count("\n", 0, separator.end()) + 1
            start = separator.start() + len("---")


def _take(file: Path, line: int, text: str, read: _Read) -> None:
    try:
        document = read_document(text, file, line)
    except YamlError as error:
        read.problems.extend(_of_error(str(error), f"{file}:{line}"))
        return
    for each in _expanded(document):
        read.documents.append(each)
        read.workloads.extend(workloads_of(each))
        if str(each.get("apiVersion")).startswith(_GROUP):
            _take_dapr(each, read)


def _expanded(document: YamlMapping | None) -> Iterator[YamlMapping]:
    """Yield a document, or those of a ``List``."""
    if document is None:
        return
    items = document.get("items")
    if document.get("kind") == "List" and isinstance(items, list):
        for item in items:
            yield from _expanded(item if isinstance(item, YamlMapping) else None)
        return
    yield document


def _take_dapr(document: YamlMapping, read: _Read) -> None:
    kind, version = str(document.get("kind")), str(document.get("apiVersion"))
    place = document.place("kind")
    if kind not in _VERSIONS:
        near = nearest(kind, tuple(_VERSIONS))
        text = f"Dapr has no kind '{kind}'{near}"
        read.problems.append(problem("invalid", place, text, "correct it, or take it out"))
        return
    if version not in _VERSIONS[kind]:
        text = f"{kind} has apiVersion '{_VERSIONS[kind][0]}', not '{version}'"
        where = document.place("apiVersion")
        read.problems.append(problem("invalid", where, text, "correct it"))
        return
    read.problems.extend(_unknown_keys(document, kind))
    if kind == "Configuration":
        head = document.get("metadata")
        if isinstance(head, YamlMapping):
            read.configurations[str(head.get("name"))] = place
    if kind in _READERS:
        try:
            resource = _READERS[kind](document)
        except DocumentError as error:
            read.problems.extend(_of_error(str(error), place))
            return
        read.found.setdefault(kind, []).append(Found(resource, document))


def _unknown_keys(document: YamlMapping, kind: str) -> Iterator[Problem]:
    """Find what the cluster would refuse, or leave out without a word."""
    spec = document.get("spec")
    for mapping, known in ((document, _TOP), (spec, _KEYS.get(kind))):
        if not isinstance(mapping, YamlMapping) or known is None:
            continue
        for key in mapping:
            if key not in known:
                text = f"{kind} has no field '{key}'{nearest(key, known)}"
                yield problem("invalid", mapping.place(key), text, "correct it, or take it out")


def _of_error(text: str, place: str) -> Iterator[Problem]:
    """Turn what a reader says, ``file:line: what; what to do`` in each line, into problems."""
    for line in text.splitlines():
        match = _PLACED.fullmatch(line)
        where, said = (match["place"], match["text"]) if match else (place, line)
        what, _, remedy = said.rpartition("; ")
        yield problem("invalid", where, what or said, remedy if what else "correct it")
