"""The test kit: an app and its sidecar in one process, on a clock that the test moves."""

from daprflow.testing.faults import Fault
from daprflow.testing.faulty import ActivityFault
from daprflow.testing.interleaving import InterleavingFailed, explore
from daprflow.testing.lone_actors import Planned, planned
from daprflow.testing.metadata import until_metadata
from daprflow.testing.replay import replay
from daprflow.testing.sidecar import TestSidecar
from daprflow.testing.spans import CollectedSpans
from daprflow.testing.targets import (
    Broker,
    ConfigurationStore,
    LockStore,
    OutputBinding,
    SecretStore,
    StateStore,
)
from daprflow.testing.workflow_run import TestRun, UnfinishedWorkflow

__all__ = [
    "ActivityFault",
    "Broker",
    "CollectedSpans",
    "ConfigurationStore",
    "Fault",
    "InterleavingFailed",
    "LockStore",
    "OutputBinding",
    "Planned",
    "SecretStore",
    "StateStore",
    "TestRun",
    "TestSidecar",
    "UnfinishedWorkflow",
    "explore",
    "planned",
    "replay",
    "until_metadata",
]
