"""The examples are as an app should be."""

import sys
from pathlib import Path

import pytest

from daprflow import DaprFlow

ROOT = Path(__file__).parents[2]
FOLDERS = sorted(path.parent.name for path in (ROOT / "examples").glob("*/app.py"))


def service_of(folder: str) -> DaprFlow:
    """The one DaprFlow of an example."""
    __import__(f"examples.{folder}.app")
    values = vars(sys.modules[f"examples.{folder}.app"]).values()
    (service,) = {value for value in values if isinstance(value, DaprFlow)}
    return service


@pytest.mark.parametrize("folder", FOLDERS)
def test_examples_start_without_a_warning(folder: str) -> None:
    """An example is a definition that nothing can be said against."""
    service = service_of(folder)
    service.freeze()
    assert service.warnings() == ()


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_example_has_a_test(folder: str) -> None:
    """Beside every example stands its test."""
    assert (ROOT / "examples" / folder / "test_app.py").is_file()
