"""What holds for every test: an environment without Dapr's variables, examples that repeat."""

import os
from collections.abc import Generator

import pytest
from hypothesis import settings

from tests.helpers import simulated_seeds

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Take the folder of a real runtime, against which some tests are then run, and seeds."""
    if not pluginmanager.has_plugin("daprflow") and not pluginmanager.has_plugin(PLUGIN):
        pluginmanager.import_plugin(PLUGIN)  # an installation from before it had the plugin
    simulated_seeds.add_options(parser)


PLUGIN = "pytest_daprflow"
OURS = ("APP_", "DAPR_", "DAPRFLOW_")
KEPT = "DAPRFLOW_TEST_"


CANARY = "canary-"
"""What secrets of tests begin with: one that is told is found, whatever its test is about."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test in which a secret was printed or logged (goal G11)."""
    del item, call
    report = yield
    where = [name for name, text in report.sections if CANARY in text]
    if report.passed and where:
        report.outcome = "failed"
        report.longrepr = f"a secret ('{CANARY}…') is in: {', '.join(where)}"
    return report


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take Dapr's and our own variables out of the environment: no test depends on the machine."""
    for name in list(os.environ):
        if name.startswith(OURS) and not name.startswith(KEPT):
            monkeypatch.delenv(name)
