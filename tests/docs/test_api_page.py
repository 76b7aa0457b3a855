"""The page of the Python API names everything that is public."""

import re
from pathlib import Path

import daprflow
import daprflow.components
import daprflow.health
import daprflow.middleware
import daprflow.observability
import daprflow.reliability
import daprflow.testing

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "api.md"


def test_every_public_name_is_on_the_page() -> None:
    """What the root and the packages of a subject export is documented, and nothing else."""
    documented = re.findall(
        r"^::: (daprflow[\w.]*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    public = [f"daprflow.{name}" for name in daprflow.__all__]
    kit = [f"daprflow.testing.{name}" for name in daprflow.testing.__all__]
    health = [f"daprflow.health.{name}" for name in daprflow.health.__all__]
    borne = [f"daprflow.reliability.{name}" for name in daprflow.reliability.__all__]
    seen = [f"daprflow.observability.{name}" for name in daprflow.observability.__all__]
    around = [f"daprflow.middleware.{name}" for name in daprflow.middleware.__all__]
    parts = [f"daprflow.components.{name}" for name in daprflow.components.__all__]
    others = kit + health + borne + seen + around + parts
    assert sorted(documented) == sorted(public + others)
