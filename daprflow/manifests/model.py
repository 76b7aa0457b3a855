"""What manifests are made of: the apps of a deployment, what they use, and the resulting files."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import msgspec

from daprflow.components.declarations import NOTHING, Declarations
from daprflow.launcher.report import Cron, HandlerRow
from daprflow.manifests.settings import AppSettings
from daprflow.protocol.configuration_tree import Tree
from daprflow.protocol.documents import Subscription
from daprflow.protocol.http_endpoint import HttpEndpointResource
from daprflow.protocol.other_resource import OtherResource
from daprflow.protocol.resiliency import ResiliencyResource
from daprflow.protocol.resources import ComponentResource
from daprflow.protocol.subscription_resource import SubscriptionResource


class AppFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What an app's code says of it.

    Attributes:
        target: what the user named it by.
        module: ``module:attribute`` or ``module``, as ``daprflow serve`` takes it in ``root``.
        root: the folder that goes first on ``sys.path``.
        folder: where its module lies.
        subscriptions: what the app answers on ``/dapr/subscribe``.
        actors: the types that it hosts.
        works: whether it has workflows or activities.
        features: those of the runtime that a Configuration must switch on.
        max_body_size: bytes a request may have.
        drain: seconds it goes on listening when told to stop.
        declarations: the resources that it declares for the environment.
    """

    app_id: str
    target: str
    module: str
    root: str
    folder: str
    handlers: tuple[HandlerRow, ...] = ()
    subscriptions: tuple[Subscription, ...] = ()
    crons: tuple[Cron, ...] = ()
    actors: tuple[str, ...] = ()
    works: bool = False
    features: tuple[str, ...] = ()
    max_body_size: int = 4 * 1024 * 1024
    drain: float = 0.0
    declarations: Declarations = NOTHING


@dataclass(frozen=True, slots=True)
class AppModel:
    """One app of a deployment.

    Attributes:
        settings: what ``daprflow.toml`` says of it, for the environment that was asked for.
        configuration: the ``spec`` of the Configuration of its sidecar; empty where it needs none.
    """

    facts: AppFacts
    settings: AppSettings
    configuration: Tree = field(default_factory=dict)

    @property
    def app_id(self) -> str:
        """The id under which other apps reach it."""
        return self.facts.app_id

    @property
    def image(self) -> str:
        """The container image, ``{app}`` filled in."""
        return self._filled(self.settings.image)

    @property
    def command(self) -> tuple[str, ...]:
        """What the container runs, ``{app}`` filled in: several apps may share an image."""
        return tuple(map(self._filled, self.settings.command))

    def _filled(self, text: str) -> str:
        return text.replace("{app}", self.app_id)


@dataclass(frozen=True, slots=True)
class Model:
    """A deployment.

    Every resource has as its scopes the apps that use it.

    Attributes:
        apps: in the order of their ids.
        components: in the order of their names, as all others; crons of handlers are among them.
        subscriptions: those of files; what apps subscribe to by code is in their facts.
        env: the environment that was asked for; empty where none was.
        declared: the components as code and files have them, before anything is put in the place of
            what is on a developer's machine alone; for the targets of one machine.
        output: the folder that is written to, for targets whose files name folders of the code.
        variants: the same deployment for each environment that a target tells the differences of.
        notes: what the user should know of, one sentence each.
    """

    apps: tuple[AppModel, ...]
    components: tuple[ComponentResource, ...] = ()
    subscriptions: tuple[SubscriptionResource, ...] = ()
    resiliencies: tuple[ResiliencyResource, ...] = ()
    http_endpoints: tuple[HttpEndpointResource, ...] = ()
    others: tuple[OtherResource, ...] = ()
    env: str = ""
    declared: tuple[ComponentResource, ...] = ()
    output: Path = Path()
    variants: "tuple[Model, ...]" = ()
    notes: tuple[str, ...] = ()

    def components_of(self, app_id: str) -> tuple[ComponentResource, ...]:
        """Return the components that an app sees."""
        return tuple(each for each in self.components if not each.scopes or app_id in each.scopes)


class Comment(StrEnum):
    """How a file says that it was generated, and what its digest is."""

    HASH = "#"
    """Lines that begin with ``#``: YAML, TOML, Dockerfiles, most others."""
    HELM = "helm"
    """A template comment, which leaves no trace in what Helm renders."""
    JSON = "json"
    """A first member ``$comment``; the text must be an object with each member on its own line."""


@dataclass(frozen=True, slots=True)
class File:
    """A file that was made.

    Attributes:
        path: relative to the output folder, with ``/`` between its parts.
        text: everything but the header, which `daprflow.manifests.write` adds.
        apps: the ids of the apps that it is about; empty for all of them.
    """

    path: str
    text: str
    apps: tuple[str, ...] = ()
    comment: Comment = Comment.HASH
