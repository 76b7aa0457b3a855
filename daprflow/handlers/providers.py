"""Dependency injection by type: what handlers may ask for, in which order it is made."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import dataclass, replace
from typing import Any

from starlette.requests import Request
from starlette.types import Message

from daprflow.addresses import type_name
from daprflow.client import Client
from daprflow.handlers.handler import Delivery
from daprflow.handlers.pool import HandlerPool
from daprflow.handlers.registration import ProviderOptions, Registration
from daprflow.handlers.signature import (
    Calling,
    Injected,
    Signature,
    SignatureError,
    read_provider,
    without_none,
)

_PER_CALL = (Delivery, Request)


@dataclass(frozen=True, slots=True)
class Provider:
    """One ``@app.provide`` function, read."""

    registration: Registration
    signature: Signature

    @property
    def makes(self) -> Any:
        """The type it is found by."""
        return self.signature.returns

    @property
    def per_call(self) -> bool:
        """Whether a new value is made for every delivery."""
        options = self.registration.options
        return isinstance(options, ProviderOptions) and options.scope == "call"


@dataclass(frozen=True, slots=True)
class Plan:
    """How the injected parameters of one function are filled.

    Attributes:
        fixed: name and type of what stays the same while the app runs.
        delivery: names that receive the delivery itself.
        request: names that receive the request.
        made: name and type of what is made for the call.
        providers: what must run for the call, in order.
    """

    fixed: tuple[tuple[str, Any], ...] = ()
    delivery: tuple[str, ...] = ()
    request: tuple[str, ...] = ()
    made: tuple[tuple[str, Any], ...] = ()
    providers: tuple[Provider, ...] = ()

    @property
    def is_fixed(self) -> bool:
        """Whether nothing depends on the call."""
        return not (self.delivery or self.request or self.made)


class Container:
    """Every provider of an app; holds what app-scoped ones made while the app runs."""

    def __init__(self, pool: HandlerPool) -> None:
        self._pool = pool
        self._providers: dict[Any, Provider] = {}
        self._order: list[Provider] = []
        self._plans: dict[Any, Plan] = {}
        self._values: dict[Any, Any] = {}
        self._filled: list[tuple[Plan, dict[str, Any]]] = []
        self._replaced: Mapping[Any, Any] = {}

    def replace(self, values: Mapping[Any, Any]) -> None:
        """Give these values, by type, where providers would make some; an empty mapping ends it.

        The providers of these types do not run. It takes effect with the next `open`.

        Raises:
            LookupError: nothing provides a value of such a type.
        """
        for wanted in values:
            if self._find(wanted) is None:
                names = ", ".join(type_name(made) for made in self._providers) or "nothing"
                raise LookupError(
                    f"no provider makes {type_name(wanted)}, so it cannot be replaced; "
                    f"providers make {names}"
                )
        self._replaced = values

    @property
    def uses_client(self) -> bool:
        """Whether a handler or a provider asks for the client."""
        plans = [*self._plans.values(), *(plan for plan, _ in self._filled)]
        return any(key is Client for plan in plans for _, key in plan.fixed)

    @property
    def values(self) -> Mapping[Any, Any]:
        """What app-scoped providers made, by type, while the app runs; the client as well."""
        return self._values

    def add_all(self, registrations: Iterable[Registration]) -> list[str]:
        """Read the providers, order them, and return what is wrong with them."""
        problems: list[str] = []
        for registration in registrations:
            problems += self._add(registration)
        for provider in self._providers.values():
            problems += self._check(provider)
        return problems + self._sort()

    def plan(self, injected: Sequence[Injected], *, allow_call: bool = True) -> Plan:
        """Decide how ``injected`` is filled.

        Raises:
            SignatureError: something is asked for that nothing makes.
        """
        fixed: list[tuple[str, Any]] = []
        made: list[tuple[str, Any]] = []
        unknown: list[Injected] = []
        early: list[Injected] = []
        injected = [replace(each, type=self._key(each.type)) for each in injected]
        for each in injected:
            provider = self._find(each.type)
            if each.type is Client or (provider is not None and not provider.per_call):
                fixed.append((each.name, each.type))
            elif provider is not None and allow_call:
                made.append((each.name, each.type))
            elif provider is not None or (each.type in _PER_CALL and not allow_call):
                early.append(each)
            elif each.type not in _PER_CALL:
                unknown.append(each)
        self._refuse(_listed(unknown), _listed(early), allow_call=allow_call)
        return Plan(
            fixed=tuple(fixed),
            delivery=tuple(each.name for each in injected if each.type is Delivery),
            request=tuple(each.name for each in injected if each.type is Request),
            made=tuple(made),
            providers=self._needed(made),
        )

    def _refuse(self, unknown: str, early: str, *, allow_call: bool) -> None:
        """Report what a function asks for and cannot have."""
        reasons = []
        if unknown:
            available = self._available(allow_call=allow_call)
            reasons.append(f"asks for {unknown}, which nothing provides; available: {available}")
        if early:
            reasons.append(
                f"asks for {early}, which exists for a call alone: set scope='call' here, too"
            )
        if reasons:
            raise SignatureError("; and ".join(reasons))

    def fixed(self, plan: Plan) -> dict[str, Any]:
        """Return a dict that holds the plan's fixed arguments while the app runs."""
        arguments: dict[str, Any] = {}
        self._filled.append((plan, arguments))
        return arguments

    async def open(self, stack: AsyncExitStack, client: Client) -> None:
        """Make every app-scoped value; ``stack`` undoes them in reverse."""
        stack.callback(self._forget)
        self._values = {Client: client}
        for provider in self._order:
            if not provider.per_call:
                try:
                    self._values[provider.makes] = await self._enter(provider, stack, {})
                except Exception as error:
                    error.add_note(f"while opening {provider.registration.title}")
                    raise
        for plan, arguments in self._filled:
            arguments.update((name, self._values[key]) for name, key in plan.fixed)

    async def arguments(
        self, plan: Plan, delivery: Delivery, stack: AsyncExitStack
    ) -> dict[str, Any]:
        """Return the arguments of one call that depend on it."""
        made: dict[Any, Any] = {}
        for provider in plan.providers:
            made[provider.makes] = await self._enter(provider, stack, made, delivery)
        return _per_call(plan, delivery) | {name: made[key] for name, key in plan.made}

    async def _enter(
        self,
        provider: Provider,
        stack: AsyncExitStack,
        made: dict[Any, Any],
        delivery: Delivery | None = None,
    ) -> Any:
        if provider.makes in self._replaced:
            return self._replaced[provider.makes]
        plan = self._plans[provider.makes]
        arguments = {name: self._values[key] for name, key in plan.fixed}
        arguments |= {name: made[key] for name, key in plan.made}
        if delivery is not None:
            arguments |= _per_call(plan, delivery)
        function = provider.registration.function
        match provider.signature.calling:
            case Calling.ASYNC:
                return await function(**arguments)
            case Calling.SYNC:
                return await self._pool.run(function, **arguments)
            case Calling.ASYNC_GENERATOR:
                return await stack.enter_async_context(asynccontextmanager(function)(**arguments))
            case Calling.GENERATOR:
                manager = contextmanager(function)(**arguments)
                return await stack.enter_async_context(_in_threads(self._pool, manager))

    def _forget(self) -> None:
        self._values = {}
        for _, arguments in self._filled:
            arguments.clear()

    def _add(self, registration: Registration) -> list[str]:
        try:
            signature = read_provider(registration.function, registration.source)
        except SignatureError as error:
            return [f"{registration.title} {error}"]
        provider = Provider(registration, signature)
        made = provider.makes
        if made in (Client, *_PER_CALL):
            return [f"{registration.title} makes {type_name(made)}, which is provided already"]
        other = self._find(made)
        if other is not None:
            problem = (
                f"{registration.title} makes {type_name(made)}, and so does "
                f"{other.registration.title}; wrap one of them in a class of its own"
            )
            return [problem]
        self._providers[made] = provider
        return []

    def _check(self, provider: Provider) -> list[str]:
        try:
            self._plans[provider.makes] = self._shallow(provider)
        except SignatureError as error:
            return [f"{provider.registration.title} {error}"]
        return []

    def _shallow(self, provider: Provider) -> Plan:
        plan = self.plan(provider.signature.injected, allow_call=provider.per_call)
        return Plan(plan.fixed, plan.delivery, plan.request, plan.made)

    def _sort(self) -> list[str]:
        """Put providers after what they need; return the cycles that prevent it."""
        done: set[Any] = set()
        problems: list[str] = []

        def visit(provider: Provider, path: tuple[Provider, ...]) -> None:
            if provider in path:
                ring = (*path[path.index(provider) :], provider)
                names = " → ".join(f"'{each.registration.name}'" for each in ring)
                problems.append(f"{provider.registration.title} needs itself: {names}")
                return
            if provider.makes in done:
                return
            for needed in self._needs(provider):
                visit(needed, (*path, provider))
            if provider.makes not in done:
                done.add(provider.makes)
                self._order.append(provider)

        for provider in self._providers.values():
            visit(provider, ())
        return problems

    def _needs(self, provider: Provider) -> list[Provider]:
        found = (self._find(self._key(each.type)) for each in provider.signature.injected)
        return [each for each in found if each is not None]

    def _needed(self, made: Iterable[tuple[str, Any]]) -> tuple[Provider, ...]:
        wanted: set[Any] = set()
        pending = [key for _, key in made]
        while pending:
            key = pending.pop()
            if key not in wanted:
                wanted.add(key)
                pending += [p.makes for p in self._needs(self._providers[key]) if p.per_call]
        return tuple(provider for provider in self._order if provider.makes in wanted)

    def _key(self, wanted: Any) -> Any:
        """Return the type to look for: of ``T | None`` that is ``T`` where only that is made."""
        inner = without_none(wanted)
        if inner is wanted or self._find(wanted) is not None:
            return wanted
        return inner

    def _find(self, wanted: Any) -> Provider | None:
        try:
            return self._providers.get(wanted)
        except TypeError:
            return None

    def _available(self, *, allow_call: bool) -> str:
        names = ["Client", *(("Request", "Delivery") if allow_call else ())]
        names += [
            f"{type_name(provider.makes)} (provider '{provider.registration.name}')"
            for provider in self._providers.values()
            if allow_call or not provider.per_call
        ]
        return ", ".join(names)


def _listed(injected: Iterable[Injected]) -> str:
    """Name what has no default and would be missing."""
    return ", ".join(
        f"'{each.name}: {type_name(each.type)}'" for each in injected if not each.optional
    )


def _per_call(plan: Plan, delivery: Delivery) -> dict[str, Any]:
    arguments: dict[str, Any] = dict.fromkeys(plan.delivery, delivery)
    if plan.request:
        arguments |= dict.fromkeys(plan.request, _request(delivery))
    return arguments


def _request(delivery: Delivery) -> Request:
    """Return a Starlette request whose body is the one that was read already."""
    if delivery.scope is None:
        raise RuntimeError("this delivery came without an HTTP request, so none can be injected")

    async def receive() -> Message:
        return {"type": "http.request", "body": delivery.body, "more_body": False}

    return Request(delivery.scope, receive)


def _in_threads(
    pool: HandlerPool, manager: AbstractContextManager[Any]
) -> AbstractAsyncContextManager[Any]:
    class Threaded(AbstractAsyncContextManager[Any]):
        async def __aenter__(self) -> Any:
            entering = asyncio.create_task(pool.run(manager.__enter__))
            try:
                return await asyncio.shield(entering)
            except asyncio.CancelledError as error:
                # The thread cannot be stopped: what it opens is closed before the call ends.
                await asyncio.wait({entering})
                if not entering.cancelled() and entering.exception() is None:
                    await self.__aexit__(type(error), error, error.__traceback__)
                raise

        async def __aexit__(self, *failure: object) -> bool | None:
            return await pool.run_always(manager.__exit__, *failure)

    return Threaded()
