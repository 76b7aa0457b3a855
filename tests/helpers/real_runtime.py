"""The real runtime that a test session was given: its programs, and the services beside it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from daprflow.testing import real_services
from tests.helpers.own_ports import free_port

OPTION = "--dapr-runtime"


def home_of(config: pytest.Config) -> Path:
    """Return the folder that ``--dapr-runtime`` names; skip the test where something is missing."""
    named = config.getoption(OPTION)
    if not named:
        pytest.skip(f"{OPTION} names no folder with a real runtime")
    try:
        return real_services.home_of(str(named))
    except real_services.NoRuntime as missing:
        pytest.skip(f"{OPTION}: {missing}")


@contextlib.contextmanager
def services(home: Path, folder: Path) -> Iterator[real_services.Services]:
    """Start a placement and a scheduler that keep what they keep in ``folder``."""
    with real_services.services(home, folder, free_port) as running:
        yield running
