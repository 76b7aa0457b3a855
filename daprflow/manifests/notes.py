"""What the user of manifests should know: things that work on a machine and not in a cluster."""

from collections.abc import Iterable, Iterator, Sequence

from daprflow.manifests.model import AppModel, Model
from daprflow.manifests.network_policy import unknown_addresses
from daprflow.manifests.secrets import LOCAL_STORES
from daprflow.manifests.triggers import triggers_of
from daprflow.protocol.resources import ComponentResource

_NEEDS = {"topic": "pubsub", "binding": "bindings", "configuration": "configuration"}
_OURS = ".daprflow"
_IN_POD = ("in-memory", "sqlite", "localstorage", "local.")


def notes(model: Model, components: Sequence[ComponentResource]) -> tuple[str, ...]:
    """Return one sentence each.

    Args:
        model: all but its notes.
        components: before those of a developer's machine were left out.
    """
    return (
        *_stores(components),
        *_machines(model.components),
        *_unreachable(model.components),
        *_missing(model),
        *(text for app in model.apps for text in _of_app(app, model)),
    )


def _of_app(app: AppModel, model: Model) -> Iterator[str]:
    yield from unknown_addresses(app, model)
    yield from _callers(app)
    yield from _crons(app)
    if app.settings.scaling.by == "lag":
        yield from triggers_of(app, model).notes


def _callers(app: AppModel) -> Iterator[str]:
    """Find callers of an access policy in namespaces where this deployment has nobody."""
    space = app.settings.namespace
    policies = (app.configuration.get("accessControl") or {}).get("policies") or ()
    for each in policies if space else ():
        elsewhere = each.get("namespace", "")
        if elsewhere and elsewhere != space:
            yield (
                f"the access policy of app '{app.app_id}' is about '{each.get('appId')}' in "
                f"namespace '{elsewhere}', and these apps are in '{space}'"
            )


def _crons(app: AppModel) -> Iterator[str]:
    """Find schedules that several sidecars keep, each for itself."""
    if app.settings.replicas == 1 and app.settings.scaling.by == "none":
        return
    for cron in app.facts.crons:
        yield (
            f"cron '{cron.name}' of app '{app.app_id}' runs in each replica, because every sidecar "
            "keeps its own time; a job with a schedule runs in one of them"
        )


def _stores(components: Iterable[ComponentResource]) -> Iterator[str]:
    for each in components:
        if each.type.startswith(LOCAL_STORES):
            yield (
                f"secret store '{each.name}' ({each.type}) is left out: it is one of a developer's "
                "machine; what refers to it refers to the store that 'secret_store' names"
            )


def _machines(components: Iterable[ComponentResource]) -> Iterator[str]:
    for each in components:
        if each.type.endswith(_OURS):
            yield (
                f"component '{each.name}' is '{each.type}', which only the embedded sidecar has; "
                "declare another for this environment"
            )
        elif any(part in each.type for part in _IN_POD):
            yield (
                f"component '{each.name}' is '{each.type}': each replica has its own, which ends "
                "with it; declare another for this environment"
            )
        for item in each.metadata:
            if item.env_ref and item.value is None:
                yield (
                    f"'{item.name}' of component '{each.name}' is read from the sidecar's variable "
                    f"'{item.env_ref}'; set it with the annotation 'dapr.io/env-from-secret'"
                )


def _unreachable(components: Sequence[ComponentResource]) -> Iterator[str]:
    """Find components that are for apps which do not see the store of their secrets."""
    stores = {each.name: each.scopes for each in components if each.kind == "secretstores"}
    for each in components:
        seen = stores.get(each.secret_store) or each.scopes
        for app_id in sorted({*each.scopes} - {*seen}):
            yield (
                f"component '{each.name}' is for '{app_id}', and its secret store "
                f"'{each.secret_store}' is not: that sidecar would not start; add '{app_id}' to "
                "the scopes of the store"
            )


def _missing(model: Model) -> Iterator[str]:
    for app in model.apps:
        have = {each.name: each.kind for each in model.components_of(app.app_id)}
        said = "\n".join(app.facts.declarations.warnings)  # of what another environment has
        for kind, name in _used(app):
            if have.get(name) != _NEEDS[kind] and f"component '{name}'" not in said:
                yield (
                    f"app '{app.app_id}' has a {kind} of component '{name}', which neither code "
                    f"nor files define for it; have a {_NEEDS[kind]} component of that name there"
                )


def _used(app: AppModel) -> list[tuple[str, str]]:
    found = (
        (row.kind, row.name.partition("/")[0]) for row in app.facts.handlers if row.kind in _NEEDS
    )
    return list(dict.fromkeys(found))
