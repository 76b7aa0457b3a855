"""From an app's declarations to Dapr's resources, with everything that is wrong with them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from daprflow.addresses import type_name
from daprflow.components.declarations import RUN_ENV, TEST_ENV, Declarations
from daprflow.components.entries import entries, fields_of, mistakes
from daprflow.components.model import Component, Options
from daprflow.components.values import SecretRef
from daprflow.handlers.declaring import Declaration
from daprflow.protocol.configuration_file import AccessControl, ConfigurationResource
from daprflow.protocol.resiliency import ResiliencyResource
from daprflow.protocol.resources import ComponentResource

T = TypeVar("T")
CLUSTER = "kubernetes"
"""The secret store of a cluster, which nobody has to declare."""


class Declared(msgspec.Struct, frozen=True):
    """One resource, and the environments it is for; none for every one."""

    resource: Any
    envs: tuple[str, ...]
    source: str

    def counts_in(self, env: str) -> bool:
        """Whether it is for that environment."""
        return not self.envs or env in self.envs


class Compiled(msgspec.Struct, frozen=True):
    """All declarations of an app.

    Attributes:
        problems: one line each, with the place.
    """

    components: tuple[Declared, ...] = ()
    resiliencies: tuple[Declared, ...] = ()
    access: tuple[Declared, ...] = ()
    configurations: tuple[Declared, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def envs(self) -> tuple[str, ...]:
        """Every environment that is named, in the order of their names."""
        groups = (self.components, self.resiliencies, self.access, self.configurations)
        return tuple(sorted({env for group in groups for each in group for env in each.envs}))

    def of(self, env: str, wanted: Mapping[str, str]) -> Declarations:
        """Return what is declared for an environment.

        Args:
            env: empty for what is for every one.
            wanted: the components that handlers name, and which handler it is.
        """
        chosen: tuple[ComponentResource, ...] = _resources(self.components, env)
        access: tuple[AccessControl, ...] = _resources(self.access, env)
        configurations: tuple[ConfigurationResource, ...] = _resources(self.configurations, env)
        configuration = configurations[0] if configurations else None
        if access:
            configuration = msgspec.structs.replace(
                configuration or ConfigurationResource(), access_control=access[0]
            )
        return Declarations(
            env,
            chosen,
            _resources(self.resiliencies, env),
            configuration,
            tuple(self._warnings(env, chosen, wanted)),
        )

    def _warnings(
        self, env: str, chosen: Sequence[ComponentResource], wanted: Mapping[str, str]
    ) -> Iterator[str]:
        """Yield what an author may have forgotten for this environment."""
        if env not in {"", RUN_ENV, TEST_ENV, *self.envs} and self.envs:
            named = ", ".join(f"'{each}'" for each in self.envs)
            yield f"nothing is declared for environment '{env}'; there are {named}"
        there = {each.name for each in chosen}
        for name, who in wanted.items():
            others = self._elsewhere(name)
            if name not in there and others:
                yield f"{who} uses component '{name}', which is declared for {others} {_only(env)}"
        for each in chosen:
            others = self._elsewhere(each.secret_store)
            if each.secret_store not in there and others:
                yield (
                    f"component '{each.name}' ({each.source}) takes secrets from "
                    f"'{each.secret_store}', which is declared for {others} {_only(env)}"
                )

    def _elsewhere(self, name: str) -> str:
        """Return the environments that a component is declared for, in words."""
        envs = {env for each in self.components if each.resource.name == name for env in each.envs}
        return ", ".join(f"'{env}'" for env in sorted(envs))


def compile_all(declarations: Sequence[Declaration], app_id: str) -> Compiled:
    """Turn declarations into resources.

    Args:
        declarations: of the app and its routers, in order.
        app_id: whose they are.
    """
    problems: list[str] = []

    def each(what: str, make: Callable[[Declaration], tuple[T, list[str]]]) -> tuple[Declared, ...]:
        found = []
        for declaration in declarations:
            if declaration.what != what:
                continue
            envs, wrong = _envs(declaration)
            resource, mistaken = make(declaration)
            problems.extend((*wrong, *mistaken))
            if resource is not None:
                found.append(Declared(resource, envs, str(declaration.source)))
        return tuple(found)

    from daprflow.components import access, configuration, resiliency  # noqa: PLC0415 - as needed

    components = each("component", component)
    resiliencies = each("resiliency", lambda one: resiliency.compiled(one, app_id))
    policies = each("access_policy", lambda one: access.compiled(one, app_id))
    configurations = each("sidecar_configuration", configuration.compiled)
    problems += _duplicates("component", components, _meeting)
    problems += _duplicates("resiliency", resiliencies, _same_name)
    problems += _duplicates("access policy", policies, _always)
    problems += _duplicates("sidecar configuration", configurations, _always)
    return Compiled(components, resiliencies, policies, configurations, tuple(problems))


def component(declaration: Declaration) -> tuple[ComponentResource | None, list[str]]:
    """Turn one model into a Component; None where it is none."""
    model, source = declaration.values["component"], declaration.source
    if not isinstance(model, Options):
        return None, [
            (
                f"'component' ({source}) takes a model of daprflow.components, not a value of type "
                f"'{type_name(type(model))}'"
            )
        ]
    title = f"component '{model.name}' ({source})"
    found = [*_frame(model), *mistakes(model)]
    if not found:  # whether they fit together is no question of values that do not
        found += model.problems()
    stores, wrong = _stores(model)
    found += wrong
    if found:
        return None, [f"{title}: {each}" for each in found]
    return (
        ComponentResource(
            name=model.name,
            type=model.type.lower() if isinstance(model, Component) else model.TYPE,
            version=model.version,
            metadata=entries(model),
            scopes=tuple(model.scopes),
            ignore_errors=model.ignore_errors,
            init_timeout=model.init_timeout.total_seconds(),
            secret_store=stores,
            source=str(source),
        ),
        [],
    )


def _frame(model: Options) -> Iterator[str]:
    """Yield what is wrong with what every component has."""
    name = model.name
    if not isinstance(name, str) or not name or name in {".", ".."} or "/" in name or "%" in name:
        yield "its name must be a text that can be a part of a path"
    if isinstance(model, Component) and (not isinstance(model.type, str) or "." not in model.type):
        yield "its type must be such as 'state.etcd': the building block, a dot and what it is"
    if isinstance(model.scopes, str) or not all(isinstance(each, str) for each in model.scopes):
        yield "'scopes' takes a tuple of app ids"
    if not isinstance(model.version, str) or not model.version:
        yield "'version' takes a text such as 'v1'"


def _stores(model: Options) -> tuple[str, list[str]]:
    """Return the one secret store of a component (``auth.secretStore``)."""
    values = [getattr(model, each.name) for each in fields_of(type(model))]
    values += model.metadata.values()
    named = dict.fromkeys(each.store for each in values if isinstance(each, SecretRef))
    if len(named) > 1:
        stores = ", ".join(f"'{each}'" for each in named)
        return "", [f"its secrets come from {stores}; a component has one secret store"]
    return next(iter(named), ""), []


def _envs(declaration: Declaration) -> tuple[tuple[str, ...], list[str]]:
    env = declaration.env
    envs = () if env is None else (env,) if isinstance(env, str) else tuple(env)
    if all(isinstance(each, str) and each for each in envs) and (env is None or envs):
        return envs, []
    return (), [
        (
            f"'{declaration.what}' ({declaration.source}): 'env' takes the name of an environment, "
            "or a tuple of names"
        )
    ]


def _duplicates(
    what: str, declared: Sequence[Declared], clash: Callable[[Any, Any], bool]
) -> Iterator[str]:
    """Yield what is declared twice for one environment."""
    for number, one in enumerate(declared):
        for before in declared[:number]:
            if not _share_env(one, before) or not clash(one.resource, before.resource):
                continue
            name = getattr(one.resource, "name", "")
            titled = f"{what} '{name}'" if name else f"the {what}"
            yield (
                f"{titled} ({one.source}) is declared at {before.source} already"
                f"{_for(one, before)}; keep one of them, or give them different environments (env=)"
            )
            break


def _share_env(one: Declared, other: Declared) -> bool:
    return not one.envs or not other.envs or bool(set(one.envs) & set(other.envs))


def _for(one: Declared, other: Declared) -> str:
    shared = sorted(set(one.envs) & set(other.envs) or {*one.envs, *other.envs})
    return f" for environment '{shared[0]}'" if shared else ""


def _meeting(one: ComponentResource, other: ComponentResource) -> bool:
    apart = one.scopes and other.scopes and set(one.scopes).isdisjoint(other.scopes)
    return one.name == other.name and not apart


def _same_name(one: ResiliencyResource, other: ResiliencyResource) -> bool:
    return one.name == other.name


def _always(_one: object, _other: object) -> bool:
    return True


def _resources(declared: Sequence[Declared], env: str) -> tuple[Any, ...]:
    return tuple(each.resource for each in declared if each.counts_in(env))


def _only(env: str) -> str:
    return f"only, and not for '{env}'" if env else "only"
