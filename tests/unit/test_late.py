"""Names that are imported when they are first asked for."""

import sys
from typing import Any

import pytest

import daprflow
from daprflow.late import late


def test_a_late_name_is_imported_once() -> None:
    """What is asked for comes from its module, and is kept."""
    namespace: dict[str, Any] = {"__name__": "package"}
    attribute = late(namespace, {"Decimal": "decimal"})
    assert attribute("Decimal") is sys.modules["decimal"].Decimal
    assert namespace["Decimal"] is sys.modules["decimal"].Decimal


def test_other_names_are_none_of_the_package() -> None:
    """A name that the package does not have is refused as any module refuses it."""
    with pytest.raises(AttributeError, match="module 'daprflow' has no attribute 'Workflows'"):
        _ = daprflow.Workflows  # type: ignore[attr-defined]  # the very point
