"""What holds for every test: an environment without Dapr's variables, examples that repeat."""

import os

import pytest
from hypothesis import settings

from tests.helpers import simulated_seeds
from tests.helpers.real_runtime import OPTION

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the folder of a real runtime, against which some tests are then run, and seeds."""
    parser.addoption(
        OPTION,
        metavar="PATH",
        help="a folder whose .dapr/bin holds daprd, placement and scheduler",
    )
    simulated_seeds.add_options(parser)


OURS = ("APP_", "DAPR_", "DAPRFLOW_")
KEPT = "DAPRFLOW_TEST_"


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take Dapr's and our own variables out of the environment: no test depends on the machine."""
    for name in list(os.environ):
        if name.startswith(OURS) and not name.startswith(KEPT):
            monkeypatch.delenv(name)
