"""Brings the components of one app up: scopes, secrets in metadata, and the order of start."""

import asyncio
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import msgspec

from daprflow.protocol.resources import ComponentResource, MetadataItem, SecretKeyRef
from daprflow.sidecar.components.base import (
    Component,
    ComponentContext,
    ComponentError,
    SecretStore,
)
from daprflow.sidecar.components.registry import COMPONENTS, supported
from daprflow.sidecar.components.stand_ins import StandIn, stand_in_for
from daprflow.sidecar.identifiers import new_id
from daprflow.sidecar.options import RuntimeOptions
from daprflow.sidecar.resiliency.guard import unguarded
from daprflow.sidecar.secret_references import CLUSTER, check_references, with_cluster_store

if TYPE_CHECKING:
    from daprflow.sidecar.engine import Engine
    from daprflow.sidecar.telemetry.meters import Meters

logger = logging.getLogger(__name__)

_STORE_KIND = "secretstores"
_MIDDLEWARE = "middleware"


@dataclass(frozen=True, slots=True)
class LoadedComponent:
    """A component that this app may use: its definition, what it was made from, its instance."""

    resource: ComponentResource
    context: ComponentContext
    instance: Component

    @property
    def kind(self) -> str:
        """The building block: "state", "pubsub", "bindings", "secretstores"."""
        return self.resource.kind


def _as_it_is(name: str, kind: str, component: Component) -> Component:  # noqa: ARG001 - as `guard`
    return component


@dataclass(frozen=True, slots=True)
class Exchange:
    """What an exchange of components came to.

    Attributes:
        before: what was in use.
        opened: what is new.
        retired: what is open and no longer in use.
        problems: one line for each that could not be opened.
    """

    before: tuple[LoadedComponent, ...]
    opened: tuple[LoadedComponent, ...]
    retired: tuple[LoadedComponent, ...]
    problems: tuple[str, ...] = ()

    @property
    def kinds(self) -> frozenset[str]:
        """The building blocks that have other components now."""
        return frozenset(each.kind for each in (*self.opened, *self.retired))


class Loader:
    """Opens components in the right order and resolves what their metadata refers to.

    Args:
        engine: shared by all apps of a run.
        options: what the app's sidecar was started with.
        guard: puts a component (name, kind, instance) under the app's resiliency policies.
    """

    def __init__(
        self,
        engine: "Engine",
        options: RuntimeOptions,
        guard: Callable[[str, str, Component], Component] = _as_it_is,
    ) -> None:
        self._engine = engine
        self._options = options
        self._guard = guard
        self._loaded: list[LoadedComponent] = []
        self.meters: Meters | None = None

    async def load(self, resources: Sequence[ComponentResource]) -> list[LoadedComponent]:
        """Open every component this app may see, secret stores first.

        Raises:
            ComponentError: one cannot be opened and does not ask to have that ignored; those
                opened before are given back.
        """
        before = len(self._loaded)
        ordered = self._ordered(resources)
        others = [each for each in ordered if each.kind != _STORE_KIND]
        try:
            await self._open_all([each for each in ordered if each.kind == _STORE_KIND])
            await check_references(others, self._secret_stores())
            await self._open_all(others)
        except BaseException:
            await self._unload_after(before)
            raise
        return list(self._loaded)

    async def _open_all(self, resources: Sequence[ComponentResource]) -> None:
        for resource in resources:
            try:
                self._loaded.append(await self._open(resource))
                self._count(resource)
            except ComponentError as error:
                if self.meters is not None:
                    self.meters.not_opened(resource.type, resource.name, "init").add()
                if not resource.ignore_errors:
                    raise
                logger.warning("%s; it is left out, as its ignoreErrors asks", error)

    def _count(self, resource: ComponentResource) -> None:
        if self.meters is not None:
            self.meters.components().add()
            self.meters.opened(resource.type).add()

    def _secret_stores(self) -> dict[str, SecretStore]:
        return {
            each.resource.name: cast("SecretStore", unguarded(each.instance))
            for each in self._loaded
            if each.kind == _STORE_KIND
        }

    async def exchange(self, resources: Sequence[ComponentResource]) -> "Exchange":
        """Bring the components to what the files say now, without closing any.

        What cannot be opened keeps the component it had before, if it had one.

        Returns:
            what changed; the caller gives back what retired once nobody uses it any more.
        """
        before, self._loaded = self._loaded, []
        known = {loaded.resource.name: loaded for loaded in before}
        opened: list[LoadedComponent] = []
        problems = []
        try:
            for resource in self._ordered(resources):
                old = known.get(resource.name)
                if old is not None and _same(old.resource, resource):
                    self._loaded.append(known.pop(resource.name))
                    continue
                try:
                    opened.append(await self._open(resource))
                    self._count(resource)
                except ComponentError as error:
                    problems.append(str(error))
                    self._loaded.extend([] if old is None else [known.pop(resource.name)])
                else:
                    self._loaded.append(opened[-1])
        except BaseException:
            self._loaded = before
            await self.release(opened)
            raise
        return Exchange(tuple(before), tuple(opened), tuple(known.values()), tuple(problems))

    async def revert(self, exchange: "Exchange") -> None:
        """Go back to what was in use before ``exchange``."""
        self._loaded = list(exchange.before)
        await self.release(exchange.opened)

    @property
    def components(self) -> list[LoadedComponent]:
        """The components in use, in load order."""
        return list(self._loaded)

    async def release(self, components: Sequence[LoadedComponent]) -> None:
        """Give back components that nobody uses any more."""
        for loaded in components:
            await self._engine.release(unguarded(loaded.instance))

    def _ordered(self, resources: Sequence[ComponentResource]) -> list[ComponentResource]:
        """Return what this app sees, in the order in which it is opened."""
        seen = with_cluster_store([each for each in resources if self._visible(each)])
        return sorted(seen, key=_order)

    def _visible(self, resource: ComponentResource) -> bool:
        return not resource.scopes or self._options.app_id in resource.scopes

    async def unload(self) -> None:
        """Give every component back, the last first."""
        await self._unload_after(0)

    async def _unload_after(self, count: int) -> None:
        while len(self._loaded) > count:
            await self._engine.release(unguarded(self._loaded.pop().instance))

    async def _open(self, resource: ComponentResource) -> LoadedComponent:
        stand_in = stand_in_for(resource.type, resource.version, self._options.stand_in)
        factory = stand_in.factory if stand_in else COMPONENTS.get(resource.type)
        if factory is None:
            raise ComponentError(
                f"{_place(resource)} has type '{resource.type}', which the embedded sidecar does "
                f"not have (it has {', '.join(supported(resource.kind))}); a real runtime may"
            )
        context = ComponentContext(
            name=resource.name,
            type=resource.type,
            version=resource.version,
            metadata=await self.resolve(resource),
            app_id=self._options.app_id,
            replica=self._options.replica,
            clock=self._engine.clock,
            data_dir=self._engine.data_dir,
            base_dir=self._options.base_dir or self._engine.base_dir,
            source=resource.source,
            siblings=self._engine,
            stands_in=stand_in is not None,
        )
        if stand_in is not None:
            self._tell(resource, stand_in)
        try:
            async with asyncio.timeout(resource.init_timeout):
                instance = await self._engine.acquire(context, factory)
        except ComponentError as error:
            reason = _without_secrets(str(error), resource, context.metadata)
            raise ComponentError(f"{_place(resource)} cannot be opened: {reason}") from None
        except TimeoutError as error:
            raise ComponentError(
                f"{_place(resource)} was not open after {resource.init_timeout:g} s; "
                "see why it is slow, or raise its initTimeout"
            ) from error
        if resource.kind != _MIDDLEWARE:  # no policy is about those: they are no calls
            instance = self._guard(resource.name, resource.kind, instance)
        return LoadedComponent(resource, context, instance)

    def _tell(self, resource: ComponentResource, stand_in: StandIn) -> None:
        """Say what takes the place of a component, once for all apps of the run."""
        why = f"no '{resource.type}' here"
        if resource.type in self._options.stand_in:
            why = f"'{resource.type}' is stood in for, as --stand-in asks"
        line = f"{_place(resource)}: {why}; {stand_in.text}"
        if self._engine.first_time(line):
            logger.warning("%s", line)

    # ---- metadata -------------------------------------------------------------------------------

    async def resolve(self, resource: ComponentResource) -> Mapping[str, str]:
        """Return the metadata with all they refer to, names in lower case.

        Raises:
            ComponentError: a secret is missing.
        """
        metadata: dict[str, str] = {}
        for item in resource.metadata:
            metadata[item.name.lower()] = await self._value(resource, item)
        return metadata

    async def _value(self, resource: ComponentResource, item: MetadataItem) -> str:
        if item.secret_key_ref is not None:
            return await self._secret(resource, item, item.secret_key_ref)
        if item.value is None and item.env_ref:
            return self._environment(resource, item.env_ref)
        return self._filled(resource, item.value or "")

    async def _secret(
        self, resource: ComponentResource, item: MetadataItem, reference: SecretKeyRef
    ) -> str:
        store = self._secret_store(resource, item)
        key = reference.key or reference.name
        try:
            pairs = await store.get(reference.name, {})
        except ComponentError as error:
            raise ComponentError(
                f"{_place(resource)} needs secret '{reference.name}' for '{item.name}': {error}"
            ) from error
        if key not in pairs:
            raise ComponentError(
                f"{_place(resource)}: secret '{reference.name}' has no key '{key}', "
                f"which '{item.name}' asks for"
            )
        return pairs[key]

    def _secret_store(self, resource: ComponentResource, item: MetadataItem) -> SecretStore:
        stores = self._secret_stores()
        name = resource.secret_store or CLUSTER
        if name in stores:
            return stores[name]
        known = ", ".join(f"'{n}'" for n in stores) or "none"
        wanted = f"secret store '{name}'"
        if not resource.secret_store:
            wanted = "a secret store, named in 'auth.secretStore',"
        raise ComponentError(
            f"{_place(resource)} needs {wanted} for '{item.name}'; loaded before it: {known}"
        )

    def _environment(self, resource: ComponentResource, name: str) -> str:
        if name.upper() == "APP_API_TOKEN" or name.upper().startswith("DAPR_") or " " in name:
            logger.warning("%s may not read environment variable '%s'", _place(resource), name)
            return ""
        return os.environ.get(name, "")

    def _filled(self, resource: ComponentResource, value: str) -> str:
        """Put in what the placeholders of a value stand for."""
        if "{" not in value:
            return value
        options = self._options
        value = value.replace("{appID}", options.app_id)
        value = value.replace("{namespace}", f"{options.namespace}.{options.app_id}")
        if "{podName}" in value:
            pod = os.environ.get("POD_NAME")
            if pod is None:
                raise ComponentError(
                    f"{_place(resource)} uses '{{podName}}', but POD_NAME is not in the environment"
                )
            value = value.replace("{podName}", pod)
        while "{uuid}" in value:
            value = value.replace("{uuid}", new_id(), 1)
        return value


def _without_secrets(text: str, resource: ComponentResource, metadata: Mapping[str, str]) -> str:
    """Return an error's text with every value that came from elsewhere replaced by its name."""
    for item in resource.metadata:
        value = metadata.get(item.name.lower(), "")
        if value and (item.secret_key_ref is not None or item.env_ref):
            text = text.replace(value, f"<value of {item.name}>")
    return text


def _same(one: ComponentResource, other: ComponentResource) -> bool:
    """Whether two documents define the same component, wherever they stand."""
    return msgspec.structs.replace(one, source="") == msgspec.structs.replace(other, source="")


def _order(resource: ComponentResource) -> int:
    """Secret stores come first, those that need no secret themselves before the others."""
    if resource.kind != _STORE_KIND:
        return 2
    return int(any(item.secret_key_ref is not None for item in resource.metadata))


def _place(resource: ComponentResource) -> str:
    source = f" ({resource.source})" if resource.source else ""
    noun = "endpoint" if resource.type == "HTTPEndpoint" else "component"
    return f"{noun} '{resource.name}'{source}"
