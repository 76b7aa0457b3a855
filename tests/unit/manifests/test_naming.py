from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from daprflow.manifests.model import AppModel
from daprflow.manifests.naming import deployment_name
from tests.helpers.manifest_models import app, model


def at(root: str, app_id: str) -> AppModel:
    """Return an app that lies in a folder."""
    found = app(app_id)
    return replace(found, facts=msgspec.structs.replace(found.facts, root=root))


@pytest.mark.parametrize(
    ("first", "second", "name"),
    [
        ("/srv/My_Shop/a", "/srv/My_Shop/b", "my-shop"),
        ("/srv/shop", "/srv/shop", "shop"),
        ("/a", "/b", "apps"),
        ("/2nd/a", "/2nd/b", "apps"),
    ],
)
def test_several_apps_are_called_as_the_folder_of_all(first: str, second: str, name: str) -> None:
    """As far as that can be the name of a chart and of a project."""
    assert deployment_name(model(at(first, "a"), at(second, "b"))) == name


def test_one_app_gives_its_own_name() -> None:
    """Whatever folder it is in."""
    assert deployment_name(model(at("/srv/other", "Order.Api"))) == "order-api"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('[project]\nname = "Corner_Shop"\n', "corner-shop"),
        ("[project]\nname = 7\n", "copy"),
        ("project = 1", "copy"),
        ("[", "copy"),
    ],
)
def test_several_apps_of_a_project_are_called_as_it(tmp_path: Path, text: str, name: str) -> None:
    """Wherever its copies lie, so that they give the same files."""
    folder = tmp_path / "copy"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(text)
    found = model(at(str(folder / "a"), "a"), at(str(folder / "b"), "b"))
    assert deployment_name(found) == name
