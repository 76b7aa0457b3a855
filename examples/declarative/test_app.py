from datetime import timedelta
from pathlib import Path

from daprflow.sidecar.configuration_document import load_configuration
from daprflow.testing import TestSidecar
from examples.declarative.app import app, seen

HERE = Path(__file__).parent


async def test_the_file_subscribes_the_app() -> None:
    """Events come where the file's rules say."""
    seen.clear()
    async with TestSidecar(app, resources_path=HERE / "resources") as dapr:
        await dapr.client.publish("pubsub", "orders", {"id": 1})
        await dapr.client.publish(
            "pubsub", "orders", {"id": 2}, metadata={"cloudevent.type": "order.vip"}
        )
        await dapr.advance(timedelta())
    assert seen == [("order", {"id": 1}), ("vip", {"id": 2})]


def test_the_configuration_is_sound() -> None:
    """The pipeline's handler is a component of the folder, and the door is shut by default."""
    found = load_configuration([HERE / "configuration.yaml"], {})
    assert [handler.name for handler in found.http_pipeline] == ["limit"]
    assert found.access_control is not None
    assert found.access_control.default_action == "deny"
