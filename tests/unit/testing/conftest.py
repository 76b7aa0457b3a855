"""An app for the tests of the test kit."""

import pytest

from daprflow.app import DaprFlow
from daprflow.settings import Settings


@pytest.fixture
def app() -> DaprFlow:
    """An app without handlers."""
    return DaprFlow("shop", settings=Settings())
