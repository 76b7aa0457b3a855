"""The files beside the workflows are what a sidecar reads."""

from pathlib import Path

from daprflow.protocol.configuration_file import NamedLimit, WorkflowRetention
from daprflow.sidecar.configuration_document import load_configuration
from daprflow.sidecar.resources import load_resources

HERE = Path(__file__).parent


def test_the_limits_are_read() -> None:
    """How much runs at one time, and how long instances are kept once they have ended."""
    found = load_configuration([HERE / "limits.yaml"], {}).workflow
    assert found.retention == WorkflowRetention(any_terminal=168 * 3600.0, completed=24 * 3600.0)
    assert found.activity_limits == (NamedLimit("charge", 2),)


def test_redis_keeps_workflows() -> None:
    """The component says that it is the store of actors, and so of workflows."""
    (store,) = load_resources([HERE / "redis"]).components
    assert (store.name, store.type) == ("statestore", "state.redis")
    assert {each.name for each in store.metadata} == {"redisHost", "actorStateStore"}
