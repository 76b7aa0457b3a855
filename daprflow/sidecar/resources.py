"""The resource files of a run: what each kind of document says, and what is wrong with them."""

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from daprflow.protocol.configuration_file import ConfigurationResource
from daprflow.protocol.http_endpoint import HttpEndpointResource
from daprflow.protocol.other_resource import OTHER_KINDS, OtherResource
from daprflow.protocol.resiliency import ResiliencyResource
from daprflow.protocol.resources import ComponentResource
from daprflow.protocol.subscription_resource import SubscriptionResource
from daprflow.sidecar.components.registry import COMPONENTS, supported, versions
from daprflow.sidecar.components.stand_ins import stand_in_for
from daprflow.sidecar.endpoint_document import read_endpoint
from daprflow.sidecar.resiliency_document import PolicyError, read_resiliency, unknown_policies
from daprflow.sidecar.resource_document import read_component, read_other
from daprflow.sidecar.resource_fields import DocumentError
from daprflow.sidecar.resource_yaml import YamlError, YamlMapping, read_document
from daprflow.sidecar.secret_references import referring_to_cluster
from daprflow.sidecar.subscription_document import read_subscription

logger = logging.getLogger(__name__)

_SUFFIXES = frozenset({".yaml", ".yml"})
_LARGEST = 1024 * 1024
_SEPARATOR = re.compile(r"^---(?:[ \t].*)?$", re.MULTILINE)
_CONTENT = re.compile(r"^[ \t]*[^#\s]", re.MULTILINE)
_GROUP = "dapr.io/"
_OTHER_KINDS = frozenset({"Configuration", *OTHER_KINDS})
"""What a document may be that is not read here."""
_NOT_FIRST = (
    "%s: resiliency '%s' is not the first document of its file, and a real runtime reads no other; "
    "it is left out; give it a file of its own"
)
_NEXT = "run with a real runtime, or take it out"
_LOOSELY = f"{_NEXT}, or leave out --strict-components to have it stood in for"


class Resource(Protocol):
    """What the resources of every kind have."""

    @property
    def name(self) -> str:
        """Its name, unique within its kind and the apps that see it."""
        ...

    @property
    def scopes(self) -> tuple[str, ...]:
        """The app ids it is for; empty means every app."""
        ...

    @property
    def namespace(self) -> str:
        """Empty where the document names none."""
        ...

    @property
    def source(self) -> str:
        """``file:line``."""
        ...


NO_CONFIGURATION = ConfigurationResource()

AnyResource = TypeVar("AnyResource", bound=Resource)

READERS: Mapping[str, Callable[[YamlMapping], Resource]] = {
    "Component": read_component,
    "HTTPEndpoint": read_endpoint,
    "Resiliency": read_resiliency,
    "Subscription": read_subscription,
}
"""What reads a document of each kind."""


class UnknownKind(Exception):  # noqa: N818 - named for what it is
    """A document says that it is Dapr's, but Dapr has nothing of its kind."""


@dataclass(frozen=True, slots=True)
class Resources:
    """The resources of a run.

    Attributes:
        components: in the order of their files, as all others.
        problems: one line each: file, line, object, what to do.
        configuration: what the files say that ``--config`` names, put together.
        left_out: one line for each mistake in a Resiliency document, and for each kind of document
            that Dapr does not have. Those documents are left out, and as with the real runtime they
            stop no start. A reload that finds some is refused all the same.
    """

    components: tuple[ComponentResource, ...] = ()
    problems: tuple[str, ...] = ()
    subscriptions: tuple[SubscriptionResource, ...] = ()
    http_endpoints: tuple[HttpEndpointResource, ...] = ()
    configuration: ConfigurationResource = NO_CONFIGURATION
    resiliencies: tuple[ResiliencyResource, ...] = ()
    left_out: tuple[str, ...] = ()
    others: tuple[OtherResource, ...] = ()


@dataclass(slots=True)
class _Found:
    """What was read so far, in order."""

    resources: list[Resource] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def of(self, kind: type[AnyResource]) -> tuple[AnyResource, ...]:
        return tuple(each for each in self.resources if isinstance(each, kind))


def load_resources(
    paths: Sequence[Path],
    app_id: str = "",
    *,
    namespace: str = "",
    strict: bool = False,
    elsewhere: bool = False,
) -> Resources:
    """Read the ``*.yaml`` and ``*.yml`` files directly in each folder, in order of their names.

    Args:
        paths: the folders.
        app_id: leaves out what is scoped to other apps; empty keeps everything.
        namespace: leaves out resources of another namespace; empty keeps everything.
        strict: takes a component type that would be stood in for as a problem.
        elsewhere: takes component types as they are, because another runtime will open them.

    Returns:
        what could be read, with a problem for everything that could not.
    """
    found = _Found()
    for file in _files(paths, found.problems):
        for number, (line, text) in enumerate(_documents(file, found.problems)):
            try:
                resource = _resource(file, line, text, elsewhere=elsewhere)
            except (PolicyError, UnknownKind) as error:
                found.left_out.extend(str(error).splitlines())
                continue
            except (YamlError, DocumentError) as error:
                found.problems.append(str(error))
                continue
            if number and isinstance(resource, ResiliencyResource):
                logger.warning(_NOT_FIRST, resource.source, resource.name)
                continue
            if resource is not None and _visible(resource, app_id, namespace):
                found.resources.append(resource)
    components = found.of(ComponentResource)
    if not elsewhere:
        found.problems.extend(_checks(components, strict=strict))
    found.problems.extend(_duplicates("component", components))
    subscriptions = found.of(SubscriptionResource)
    found.problems.extend(_duplicates("subscription", subscriptions))
    endpoints = found.of(HttpEndpointResource)
    found.problems.extend(_duplicates("endpoint", endpoints))
    resiliencies = found.of(ResiliencyResource)
    found.problems.extend(unknown_policies(resiliencies))
    return Resources(
        components=components,
        problems=tuple(found.problems),
        subscriptions=subscriptions,
        http_endpoints=endpoints,
        resiliencies=resiliencies,
        left_out=tuple(found.left_out),
        others=found.of(OtherResource),
    )


def problems_of(resources: Resources, *, strict: bool = False) -> tuple[str, ...]:
    """Return what is wrong with resources that are sound one by one.

    Args:
        resources: wherever they come from.
        strict: takes a component type that would be stood in for as a problem.
    """
    checked = _checks(resources.components, strict=strict)
    return (*checked, *unknown_policies(resources.resiliencies))


def check_syntax(paths: Sequence[Path]) -> tuple[str, ...]:
    """Return what is wrong with the files as YAML, whatever they define."""
    problems: list[str] = []
    for file in _files(paths, problems):
        for line, text in _documents(file, problems):
            try:
                read_document(text, file, line)
            except YamlError as error:
                problems.append(str(error))
    return tuple(problems)


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
    """Yield each document of a file that says something, with the number of its first line."""
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
        document = text[start : separator.start()]
        if _CONTENT.search(document):
            yield line, document
        line = text.count("\n", 0, separator.end()) + 1
        start = separator.start() + len("---")
    document = text[start:]
    if _CONTENT.search(document):
        yield line, document


def _resource(file: Path, line: int, text: str, *, elsewhere: bool) -> Resource | None:
    """Return the resource of one document, None when it is another kind of thing."""
    document = read_document(text, file, line)
    if document is None:
        return None
    kind, version = str(document.get("kind")), str(document.get("apiVersion"))
    if not version.startswith(_GROUP):
        return None
    reader = READERS.get(kind)
    if reader is not None:
        return reader(document)
    place = f"{file}:{document.line}"
    if kind not in _OTHER_KINDS:
        raise UnknownKind(f"{place}: Dapr has no kind '{kind}'; correct it, or take it out")
    if elsewhere and kind in OTHER_KINDS:
        return read_other(document)
    if kind == "Configuration":
        logger.warning("%s: a Configuration is read only where --config names its file", place)
    else:
        logger.warning("%s: kind '%s' is not read by the embedded sidecar", place, kind)
    return None


def _visible(resource: Resource, app_id: str, namespace: str) -> bool:
    if app_id and resource.scopes and app_id not in resource.scopes:
        return False
    return not (namespace and resource.namespace and resource.namespace != namespace)


def _checks(components: Sequence[ComponentResource], *, strict: bool) -> Iterator[str]:
    """Find the components that cannot be opened here."""
    for component in components:
        stood_in = stand_in_for(component.type, component.version) is not None
        if not component.ignore_errors and (strict or not stood_in):
            yield from _check_type(component)
    if strict:
        for component in referring_to_cluster(components):
            yield (
                f"{component.source}: component '{component.name}' refers to secrets of a cluster; "
                f"name a store in 'auth.secretStore', or {_LOOSELY}"
            )


def _duplicates(kind: str, resources: Sequence[Resource]) -> Iterator[str]:
    first: dict[str, list[Resource]] = {}
    for resource in resources:
        for other in first.setdefault(resource.name, []):
            if _meet(resource, other):
                yield (
                    f"{resource.source}: {kind} '{resource.name}' is defined already at "
                    f"{other.source}; rename one, or give them different scopes"
                )
                break
        first[resource.name].append(resource)


def _check_type(component: ComponentResource) -> Iterator[str]:
    if component.type not in COMPONENTS:
        known = ", ".join(supported(component.kind))
        remedy = _LOOSELY if stand_in_for(component.type, component.version) else _NEXT
        yield (
            f"{component.source}: component '{component.name}' has type '{component.type}', which "
            f"the embedded sidecar does not have (it has {known}); {remedy}"
        )
    elif component.version not in versions(component.type):
        has = max(versions(component.type))
        yield (
            f"{component.source}: component '{component.name}' asks for version "
            f"'{component.version}' of '{component.type}'; the embedded sidecar has {has}"
        )


def _meet(one: Resource, other: Resource) -> bool:
    """Whether some app sees both."""
    return not one.scopes or not other.scopes or not set(one.scopes).isdisjoint(other.scopes)
