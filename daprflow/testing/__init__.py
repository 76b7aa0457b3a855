"""The test kit: an app and its sidecar in one process, on a clock that the test moves."""

from daprflow.testing.lone_actors import Planned, planned
from daprflow.testing.sidecar import TestSidecar

__all__ = ["Planned", "TestSidecar", "planned"]
