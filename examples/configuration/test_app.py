"""The configuration example, tested without a process."""

from daprflow.testing import TestSidecar
from examples.configuration.app import Limits, allowed, app, countdown, greeting


async def test_limits_follow_the_store() -> None:
    """The app goes by what the store says, from the start and after each change."""
    async with TestSidecar(app, configuration={"settings": {"limits": Limits(daily=5)}}) as dapr:
        assert await dapr.invoke(allowed, 5)
        await dapr.configure("settings", "limits", Limits(daily=2))
        assert not await dapr.invoke(allowed, 5)


async def test_the_default_counts_without_an_item() -> None:
    """A store that has nothing leaves the default."""
    async with TestSidecar(app) as dapr:
        assert await dapr.invoke(allowed, 1)
        assert not await dapr.invoke(allowed, 2)


async def test_a_value_from_the_first_store() -> None:
    """The first store goes before the second."""
    stores = {"settings": {"greeting": "Hi", "speed": 3}}
    async with TestSidecar(app, configuration=stores) as dapr:
        assert await dapr.invoke(greeting) == "Hi"
        assert await dapr.invoke(countdown) == [3, 3, 3]
        await dapr.configure("overrides", "greeting", "Servus")
        assert await dapr.invoke(greeting) == "Servus"
