"""Calling a user's function: injection around it, threads below it where it is a plain ``def``."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

from daprflow.handlers.handler import Delivery
from daprflow.handlers.pool import HandlerPool
from daprflow.handlers.providers import Container, Plan
from daprflow.handlers.signature import Calling

Call = Callable[..., Awaitable[Any]]
"""Takes the delivery and, where the handler has one, the payload."""


def caller(
    function: Callable[..., Any],
    calling: Calling,
    plan: Plan,
    container: Container,
    pool: HandlerPool,
) -> Call:
    """Return what calls ``function`` with everything it asks for."""
    fixed = container.fixed(plan)
    run = function if calling is Calling.ASYNC else _in_thread(function, pool)
    if plan.is_fixed:

        def call_fixed(_: Delivery, /, *payload: Any) -> Awaitable[Any]:
            return run(*payload, **fixed)

        return call_fixed
    if not plan.providers:

        async def call_with_delivery(delivery: Delivery, /, *payload: Any) -> Any:
            async with AsyncExitStack() as stack:
                own = await container.arguments(plan, delivery, stack)
            return await run(*payload, **fixed, **own)

        return call_with_delivery

    async def call_with_providers(delivery: Delivery, /, *payload: Any) -> Any:
        failure: BaseException | None = None
        result: Any = None
        async with AsyncExitStack() as stack:
            own = await container.arguments(plan, delivery, stack)
            try:
                result = await run(*payload, **fixed, **own)
            except BaseException as error:
                failure = error
                raise
        if failure is not None:
            # A provider that swallows an error must not turn a failure into a success.
            raise failure
        return result

    return call_with_providers


def taking_values(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``function`` with its parameters' values as one positional dict at the front."""

    def call(values: dict[str, Any], /, *payload: Any, **injected: Any) -> Any:
        return function(*payload, **injected, **values)

    return call


def _in_thread(function: Callable[..., Any], pool: HandlerPool) -> Callable[..., Awaitable[Any]]:
    async def run(*payload: Any, **arguments: Any) -> Any:
        result = await pool.run(function, *payload, **arguments)
        # A plain function may hand back a coroutine, as a decorator without care does.
        return await result if asyncio.iscoroutine(result) else result

    return run
