"""The page about what is supported says what is true."""

import re
from pathlib import Path

from daprflow.sidecar.components.registry import COMPONENTS

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "coverage.md"


def test_component_types_are_the_registered_ones() -> None:
    """The table of components lists each type that the sidecar can build, and no other."""
    section = PAGE.read_text(encoding="utf-8").split("## Components")[1].split("## ")[0]
    cells = re.findall(r"^\| (`[^|]+) \|", section, flags=re.MULTILINE)
    listed = [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]
    assert sorted(listed) == sorted(COMPONENTS)
