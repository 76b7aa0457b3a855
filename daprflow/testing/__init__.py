"""The test kit: an app and its sidecar in one process, on a clock that the test moves."""

from daprflow.testing.sidecar import TestSidecar

__all__ = ["TestSidecar"]
