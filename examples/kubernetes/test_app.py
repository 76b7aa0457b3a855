from daprflow.testing import TestSidecar
from examples.kubernetes.app import Order, app, placed, total


async def test_an_order_is_kept_with_the_components_of_tests() -> None:
    """Handlers are the same whatever broker and store the environment has."""
    async with TestSidecar(app) as dapr:
        await dapr.publish(placed, Order("o1", 7))
        assert await dapr.invoke(total, "o1") == 7
        assert await dapr.invoke(total, "o2") == 0


def test_each_environment_has_its_own_components() -> None:
    """What the cluster gets is another broker and another store under the same names."""
    found = {
        env: {each.name: each.type for each in app.declared(env).components}
        for env in ("dev", "prod")
    }
    assert found["dev"] == {"broker": "pubsub.daprflow", "store": "state.sqlite"}
    assert found["prod"] == {"broker": "pubsub.kafka", "store": "state.postgresql"}
