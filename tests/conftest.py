"""What holds for every test: an environment without Dapr's variables, examples that repeat."""

import os

import pytest
from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

OURS = ("APP_", "DAPR_", "DAPRFLOW_")
KEPT = "DAPRFLOW_TEST_"


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take Dapr's and our own variables out of the environment: no test depends on the machine."""
    for name in list(os.environ):
        if name.startswith(OURS) and not name.startswith(KEPT):
            monkeypatch.delenv(name)
