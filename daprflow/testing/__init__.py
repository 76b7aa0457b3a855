"""The test kit: an app and its sidecar in one process, on a clock that the test moves."""

from daprflow.testing.lone_actors import Planned, planned
from daprflow.testing.replay import replay
from daprflow.testing.sidecar import TestSidecar
from daprflow.testing.workflow_run import TestRun, UnfinishedWorkflow

__all__ = ["Planned", "TestRun", "TestSidecar", "UnfinishedWorkflow", "planned", "replay"]
