"""The target ``kubernetes``: every object of every app, and the resources that they share."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from msgspec import structs

from daprflow.launcher.exits import Exit, LaunchError
from daprflow.manifests.components import configuration, resources
from daprflow.manifests.deployment import deployment
from daprflow.manifests.model import AppModel, File, Model
from daprflow.manifests.names import refuse_app_ids, refuse_names
from daprflow.manifests.network_policy import network_policy
from daprflow.manifests.objects import (
    disruption_budget,
    secret_reader,
    service,
    service_account,
)
from daprflow.manifests.scaling import scaling
from daprflow.manifests.subscriptions import declarative
from daprflow.manifests.yaml_text import document, documents
from daprflow.protocol.configuration_tree import Tree


def files(model: Model) -> tuple[File, ...]:
    """Return a folder for each app below ``apps``, and one for each kind of resource.

    Raises:
        LaunchError: an object of a cluster cannot have one of the names, or settings contradict
            each other; each is named.
    """
    refuse_app_ids(model)
    model = _spaced(declarative(model))
    refuse_names(model)
    apps = (file for app in model.apps for file in _app(app, model))
    return (*apps, *resources(model, folders=True))


def _app(app: AppModel, model: Model) -> Iterator[File]:
    settings = app.settings
    yield _file(app, "deployment", [deployment(app)])
    yield _file(app, "service-account", [service_account(app), *secret_reader(app)])
    if settings.service:
        yield _file(app, "service", [service(app)])
    if settings.scaling.by != "none":
        yield _file(app, "scaling", scaling(app, model))
    yield _file(app, "disruption-budget", [disruption_budget(app)])
    if settings.network.enabled:
        yield _file(app, "network-policy", [network_policy(app, model)])
    if app.configuration and settings.sidecar.enabled:
        yield _file(app, "configuration", [configuration(app, settings.namespace)])


def _file(app: AppModel, name: str, trees: Iterable[Tree]) -> File:
    found = list(trees)
    text = document(found[0]) if len(found) == 1 else documents(found)
    return File(f"apps/{app.app_id}/{name}.yaml", text, (app.app_id,))


def _spaced(model: Model) -> Model:
    """Put what apps share into their namespace, where alone they see it.

    Raises:
        LaunchError: they are in several.
    """
    spaces = sorted({app.settings.namespace for app in model.apps})
    if len(spaces) > 1:
        raise LaunchError(
            f"apps are in the namespaces {', '.join(map(repr, spaces))}, and each sees the "
            "resources of its own; make the files of each on their own, into folders of their own",
            Exit.FAILED,
        )
    space = spaces[0]
    if not space:
        return model
    return replace(
        model,
        components=tuple(structs.replace(e, namespace=space) for e in model.components),
        subscriptions=tuple(structs.replace(e, namespace=space) for e in model.subscriptions),
        resiliencies=tuple(structs.replace(e, namespace=space) for e in model.resiliencies),
        http_endpoints=tuple(structs.replace(e, namespace=space) for e in model.http_endpoints),
        others=tuple(structs.replace(e, namespace=space) for e in model.others),
    )
