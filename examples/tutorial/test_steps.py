"""Each step of the tutorial is a service that nothing can be said against."""

import importlib
from pathlib import Path

import pytest

STEPS = sorted(each.name for each in Path(__file__).parent.glob("step*"))


@pytest.mark.parametrize("step", STEPS)
def test_a_step_is_sound(step: str) -> None:
    """It can be checked; the first one alone has a warning, which its page is about."""
    app = importlib.import_module(f"examples.tutorial.{step}.parcels.app").app
    app.check()
    assert bool(app.warnings()) == (step in {"step1", "step2"})
