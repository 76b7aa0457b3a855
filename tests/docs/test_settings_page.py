"""The pages about settings and releases say what is true."""

import re
from pathlib import Path

from daprflow.client.releases import FEATURES
from daprflow.health import HealthSettings
from daprflow.observability.logging_options import level_from, logs_from
from daprflow.observability.metrics_options import metrics_from
from daprflow.observability.tracing_options import TracingSettings
from daprflow.settings import Settings

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


class Asked(dict[str, str]):
    """An environment that notes what it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]
        self.names.add(name)
        return default


def test_every_variable_is_on_the_page() -> None:
    """The table lists what is read, and nothing else."""
    page = (REFERENCE / "settings.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `([A-Z_]+)` \|", page, re.MULTILINE))
    environment = Asked()
    Settings.from_env(environment)
    HealthSettings.from_env(environment)
    metrics_from(environment)
    logs_from(environment)
    level_from(environment)
    TracingSettings.from_env(environment, "shop", asked=True)
    assert listed == environment.names


def test_every_release_is_on_the_page() -> None:
    """What an error can name as needed is in the table."""
    page = (REFERENCE / "releases.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"\| (1\.\d+)[ |]", page))
    assert {".".join(map(str, feature.since)) for feature in FEATURES} - listed <= {"1.17"}
