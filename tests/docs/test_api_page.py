"""The page of the Python API names everything that is public."""

import re
from pathlib import Path

from daprflow import DaprFlow
from tests.docs.docstring_examples import PARTS_ONLY
from tests.docs.public_names import exported, packages

OF_AN_APP = re.compile(r"(app\.DaprFlow|handlers\.(router\.Router|declaring\.\w+))\.\w+")
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "api.md"


def documented() -> list[str]:
    """What the page has mkdocstrings show."""
    text = PAGE.read_text(encoding="utf-8")
    return re.findall(r"^::: (daprflow[\w.]*)$", text, re.MULTILINE)


def test_every_public_name_is_on_the_page() -> None:
    """What the root and the packages below it export is documented, once, and nothing else."""
    assert sorted(documented()) == sorted(exported())


def test_no_package_is_overlooked() -> None:
    """Each part of daprflow that users import from says what it exports."""
    assert {each.__name__.removeprefix("daprflow.") for each in packages()} == {
        *("daprflow", "actors", "client", "components", "errors", "health", "middleware"),
        *("observability", "reliability", "settings", "testing"),
    }


def test_exports_exist() -> None:
    """What a package says that it exports is in it, each name once."""
    for each in packages():
        names = list(each.__all__)
        assert len(names) == len(set(names)), each.__name__
        assert [name for name in names if not hasattr(each, name)] == [], each.__name__


def test_what_only_other_parts_call_is_not_shown() -> None:
    """An app's page shows what its author calls; each name that is left out is there."""
    text = PAGE.read_text(encoding="utf-8")
    (left_out,) = set(re.findall(r'"!\^\(([\w|]+)\)\$"', text))
    names = set(left_out.split("|"))
    assert names <= set(dir(DaprFlow))
    inner = {each.rsplit(".", 1)[1] for each in PARTS_ONLY if OF_AN_APP.match(each)}
    assert inner <= names
