"""From targets to a model: what apps say by code, what files say, and what the settings add."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec

from daprflow.launcher import defaults
from daprflow.launcher.exits import Exit, LaunchError
from daprflow.manifests.configuration import configuration_of, files_of
from daprflow.manifests.facts import Source, facts_of
from daprflow.manifests.model import AppFacts, AppModel, Model
from daprflow.manifests.names import APP_ID
from daprflow.manifests.notes import notes
from daprflow.manifests.secrets import (
    endpoints_for_cluster,
    for_cluster,
    plain_in_documents,
    plain_secrets,
)
from daprflow.manifests.settings import ManifestSettings
from daprflow.protocol.http_endpoint import HttpEndpointResource
from daprflow.protocol.other_resource import OTHER_KINDS, OtherResource
from daprflow.protocol.resiliency import ResiliencyResource
from daprflow.protocol.resources import ComponentResource
from daprflow.protocol.subscription_resource import SubscriptionResource
from daprflow.sidecar.resources import Resources, load_resources

R = TypeVar(
    "R",
    ComponentResource,
    SubscriptionResource,
    ResiliencyResource,
    HttpEndpointResource,
    OtherResource,
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an app and what belongs to it is found.

    Attributes:
        folders: those of its resources; none are those beside it.
        config: Configuration files; none are those of the settings.
    """

    source: Source
    folders: tuple[Path, ...] = ()
    config: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What manifests are asked for.

    Attributes:
        env: the environment; empty for none.
        output: the folder that the files go into.
        apart: imports each app in a process of its own, whose modules nobody here sees.
    """

    apps: tuple[Place, ...]
    env: str = ""
    output: Path = Path()
    apart: bool = False


@dataclass(frozen=True, slots=True)
class _App:
    """An app with what its folders hold."""

    facts: AppFacts
    found: Resources
    place: Place


def collect(wanted: Wanted, settings: ManifestSettings) -> Model:
    """Import the apps, read their files, and put everything together.

    Raises:
        LaunchError: a target is missing; two apps have one id; files are wrong, contradict each
            other, or hold a secret in plain text. Every problem at once.
        AppDefinitionError: an app is wrong.
    """
    sources = [place.source for place in wanted.apps]
    facts = facts_of(sources, wanted.env, apart=wanted.apart)
    _refuse_ids(facts)
    apps = sorted(
        (
            _App(
                each, load_resources(defaults.folders(at.folders, each.folder), elsewhere=True), at
            )
            for each, at in zip(facts, wanted.apps, strict=True)
        ),
        key=lambda app: app.facts.app_id,
    )
    models = tuple(_model(app, wanted, settings) for app in apps)
    problems = list(dict.fromkeys(text for app in apps for text in app.found.problems))
    problems += _differing(models)
    components = _with_stores(apps, _merged(apps, _components, "component", problems))
    resiliencies = _merged(apps, _resiliencies, "resiliency", problems)
    subscriptions = _merged(apps, lambda app: app.found.subscriptions, "subscription", problems)
    endpoints = _merged(apps, lambda app: app.found.http_endpoints, "endpoint", problems)
    others = tuple(
        each
        for kind in OTHER_KINDS
        for each in _merged(apps, partial(_others, kind), kind, problems)
    )
    problems += plain_secrets(components, endpoints, models)
    problems += plain_in_documents(others)
    if problems:
        raise LaunchError("\n".join(problems), Exit.FAILED)
    said = [text for app in apps for text in app.facts.declarations.warnings]
    said += [text for app in apps for text in app.found.left_out]
    store = models[0].settings.secret_store
    model = Model(
        apps=models,
        components=for_cluster(components, store),
        subscriptions=subscriptions,
        resiliencies=resiliencies,
        http_endpoints=endpoints_for_cluster(endpoints, components, store),
        others=others,
        env=wanted.env,
        declared=components,
        output=wanted.output,
    )
    return replace(model, notes=tuple(dict.fromkeys([*said, *notes(model, components)])))


def _refuse_ids(facts: Sequence[AppFacts]) -> None:
    first: dict[str, str] = {}
    for each in facts:
        if not APP_ID.fullmatch(each.app_id):
            raise LaunchError(
                f"app id {each.app_id!r} cannot be deployed: it may have letters, digits, '-', '_' "
                "and '.' alone, 63 at most",
                Exit.FAILED,
            )
        if each.app_id in first:
            raise LaunchError(
                f"'{each.target}' and '{first[each.app_id]}' are both app '{each.app_id}'; "
                "give one of them another id",
                Exit.FAILED,
            )
        first[each.app_id] = each.target


def _model(app: _App, wanted: Wanted, settings: ManifestSettings) -> AppModel:
    facts = app.facts
    own = settings.of(facts.app_id, wanted.env)
    if facts.actors and own.workers > 1:
        raise LaunchError(
            f"app '{facts.app_id}' has actors, which live in one process; set 'workers' to 1, and "
            "'replicas' to what you need",
            Exit.FAILED,
        )
    files = app.place.config or files_of(settings, own)
    return AppModel(facts, own, configuration_of(facts, files, own.namespace))


def _differing(apps: Sequence[AppModel]) -> Iterator[str]:
    """Find settings that apps which share components cannot each have for themselves."""
    stores = sorted({app.settings.secret_store for app in apps})
    if len(stores) > 1:
        yield (
            f"'secret_store' is {' and '.join(map(repr, stores))}; it is one for all apps that are "
            "deployed together"
        )


def _components(app: _App) -> tuple[ComponentResource, ...]:
    """Return an app's components: those of files, of its code, and its crons."""
    declared = without(app.facts.declarations.components, app.found.components)
    known = (*app.found.components, *declared)
    crons = defaults.crons(app.facts.crons, known)
    return (*known, *(msgspec.structs.replace(c, scopes=(app.facts.app_id,)) for c in crons))


def _with_stores(
    apps: Iterable[_App], components: tuple[ComponentResource, ...]
) -> tuple[ComponentResource, ...]:
    """Show secret stores to all whose components refer to them, but those of named apps alone."""
    limited = {each.name for app in apps for each in _components(app) if each.scopes}
    users: dict[str, set[str]] = {}
    for each in components:
        users.setdefault(each.secret_store, set()).update(each.scopes)
    return tuple(
        each
        if each.kind != "secretstores" or each.name in limited
        else _scoped(each, users.get(each.name, ()))
        for each in components
    )


def _resiliencies(app: _App) -> tuple[ResiliencyResource, ...]:
    found = app.found.resiliencies
    return (*found, *without(app.facts.declarations.resiliencies, found))


def _others(kind: str, app: _App) -> tuple[OtherResource, ...]:
    return tuple(each for each in app.found.others if each.kind == kind)


def without(declared: Iterable[R], found: Iterable[R]) -> tuple[R, ...]:
    """Leave out what a file says, too: the file counts, as in a run."""
    named = {each.name for each in found}
    return tuple(each for each in declared if each.name not in named)


def _merged(
    apps: Sequence[_App], of: Callable[[_App], Iterable[R]], kind: str, problems: list[str]
) -> tuple[R, ...]:
    """Put the resources of all apps together, each with the apps that use it as its scopes."""
    first: dict[str, R] = {}
    users: dict[str, list[str]] = {}
    for app in apps:
        app_id = app.facts.app_id
        for each in of(app):
            if each.scopes and app_id not in each.scopes:
                continue
            other = first.setdefault(each.name, each)
            if not _same(each, other):
                problems.append(
                    f"{each.source}: {kind} '{each.name}' of app '{app_id}' differs from the one "
                    f"at {other.source}, and a namespace holds one of that name; rename one"
                )
                continue
            users.setdefault(each.name, []).append(app_id)
    return tuple(_scoped(first[name], users[name]) for name in sorted(users))


def _scoped(resource: R, users: Iterable[str]) -> R:
    return msgspec.structs.replace(resource, scopes=tuple(sorted({*users, *resource.scopes})))


def _same(one: R, other: R) -> bool:
    """Whether two documents say the same, wherever they stand and whoever they are for."""
    return msgspec.structs.replace(one, source="", scopes=()) == msgspec.structs.replace(
        other, source="", scopes=()
    )
