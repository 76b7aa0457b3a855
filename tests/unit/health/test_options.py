"""How an app is to be looked after."""

from typing import Any

import pytest

from daprflow.health import HealthSettings
from daprflow.settings import SettingsError


def test_the_environment_is_read() -> None:
    """Each field has a variable; an empty one counts as not set."""
    env = {"DAPRFLOW_BLOCKED_AFTER": "0", "DAPRFLOW_DRAIN": "5", "DAPRFLOW_CHECK_EVERY": ""}
    assert HealthSettings.from_env(env) == HealthSettings(blocked_after=0, drain=5)


@pytest.mark.parametrize("text", ["soon", "-1", "inf", "nan"])
def test_what_is_no_time_is_named(text: str) -> None:
    """A variable that cannot be used is an error that names it."""
    with pytest.raises(SettingsError, match="'DAPRFLOW_DRAIN' is"):
        HealthSettings.from_env({"DAPRFLOW_DRAIN": text})


@pytest.mark.parametrize("options", [{"drain": -1}, {"check_every": float("nan")}])
def test_settings_have_no_negative_times(options: Any) -> None:
    """A mistake in code is an error, too."""
    with pytest.raises(ValueError, match="must be seconds"):
        HealthSettings(**options)
