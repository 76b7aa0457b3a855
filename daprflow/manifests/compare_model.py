"""What ``check --manifests`` compares: what is deployed, and what the code says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Generic, TypeVar

from daprflow.manifests.compare_problem import Problem
from daprflow.manifests.model import AppFacts
from daprflow.protocol.configuration_tree import Tree
from daprflow.protocol.http_endpoint import HttpEndpointResource
from daprflow.protocol.resiliency import ResiliencyResource
from daprflow.protocol.resources import ComponentResource
from daprflow.protocol.subscription_resource import SubscriptionResource
from daprflow.sidecar.resource_yaml import YamlMapping

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Setting:
    """A value and its ``file:line``."""

    value: str
    place: str


@dataclass(frozen=True, slots=True)
class HttpProbe:
    """A probe of the kubelet: ``port`` is a number or the name of one."""

    path: str
    port: str
    place: str


@dataclass(frozen=True, slots=True)
class Workload:
    """Something that runs an app beside a sidecar.

    Attributes:
        title: what it is, for messages, such as ``Deployment 'shop'``.
        settings: of its sidecar, under the names of annotations without ``dapr.io/``.
        listens: the ports that the app's own command, variables or container ports say.
        probes: those of the app's container.
        tls: whether the app's command says that it serves HTTPS.
        cluster: whether it is Kubernetes that runs it.
        namespace: there; empty where the file does not say.
    """

    title: str
    place: str
    settings: Mapping[str, Setting]
    listens: tuple[Setting, ...] = ()
    probes: tuple[HttpProbe, ...] = ()
    tls: bool = False
    cluster: bool = False
    namespace: str = ""

    @property
    def app_id(self) -> str:
        """Its app id; empty where it has none."""
        return self.value("app-id")

    def value(self, name: str, default: str = "") -> str:
        """Return a setting's value."""
        found = self.settings.get(name)
        return default if found is None else found.value

    def place_of(self, name: str) -> str:
        """Return where a setting stands, or the workload itself."""
        found = self.settings.get(name)
        return self.place if found is None else found.place


@dataclass(frozen=True, slots=True)
class Found(Generic[R]):
    """A resource with the document that it was read from."""

    resource: R
    document: YamlMapping

    def place(self, *keys: str) -> str:
        """Return ``file:line`` of what stands below some keys, as far as it is there."""
        at, place = self.document, self.document.place()
        for key in keys:
            if key not in at:
                break
            place, inner = at.place(key), at[key]
            if not isinstance(inner, YamlMapping):
                break
            at = inner
        return place


@dataclass(frozen=True, slots=True)
class Deployed:
    """What the files of a folder say.

    Attributes:
        folder: where they are.
        documents: all of them that are mappings.
        configurations: names, with their places.
        problems: what cannot be read.
        notes: what was left out, one sentence each.
    """

    folder: Path
    documents: tuple[YamlMapping, ...] = ()
    workloads: tuple[Workload, ...] = ()
    components: tuple[Found[ComponentResource], ...] = ()
    subscriptions: tuple[Found[SubscriptionResource], ...] = ()
    resiliencies: tuple[Found[ResiliencyResource], ...] = ()
    endpoints: tuple[Found[HttpEndpointResource], ...] = ()
    configurations: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """Where a problem is that stands in no file."""
        return f"{self.folder}:0"

    @property
    def in_cluster(self) -> bool:
        """Whether there is anything that Kubernetes runs."""
        return any(each.cluster for each in self.workloads)

    def app_ids(self) -> tuple[str, ...]:
        """Return the ids of the apps that run."""
        return tuple(dict.fromkeys(each.app_id for each in self.workloads if each.app_id))


@dataclass(frozen=True)
class Code:
    """What the code says.

    Attributes:
        hosted: another application's routes are served as well, and nobody knows them here.
        port: where the app listens unless its command says otherwise.
        configuration: the ``spec`` of the Configuration of its sidecar; empty where it needs none.
    """

    facts: AppFacts
    hosted: bool = False
    port: int = 8000
    configuration: Tree = field(default_factory=dict)

    @property
    def app_id(self) -> str:
        """The app's id."""
        return self.facts.app_id

    @cached_property
    def posts(self) -> frozenset[str]:
        """The paths of endpoints that take a POST request, of any topic as well."""
        rows = self.facts.handlers
        return frozenset(r.path for r in rows if r.kind == "invoke" and r.method == "POST")

    @cached_property
    def gets(self) -> frozenset[str]:
        """The paths that take a GET request."""
        own = {row.path for row in self.facts.handlers if row.method == "GET"}
        return frozenset({"/healthz", "/readyz", *own})

    def sees(self, scopes: tuple[str, ...]) -> bool:
        """Tell whether the app's sidecar reads what has these scopes."""
        return not scopes or self.app_id in scopes
