"""What TARGET may be, and what is said when it is not."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from daprflow.launcher.exits import LaunchError
from daprflow.launcher.target import load, resolve
from tests.helpers.cli_run import write

ONE = "from daprflow import DaprFlow\napp = DaprFlow('one')\n"


@pytest.fixture(autouse=True)
def _imports() -> Iterator[None]:
    """Forget what a test imported."""
    modules, path = set(sys.modules), list(sys.path)
    yield
    for name in set(sys.modules) - modules:
        if not name.startswith(("daprflow", "fastapi", "starlette")):
            del sys.modules[name]
    sys.path[:] = path


@pytest.mark.parametrize(
    ("text", "file"),
    [
        ("shop1", "shop1/app.py"),
        ("shop2", "shop2/main.py"),
        ("shop3/service.py", "shop3/service.py"),
        ("shop4/service.py:app", "shop4/service.py"),
        ("service5:app", "service5.py"),
        ("service6", "service6.py"),
        ("package7", "package7/app.py"),
    ],
)
def test_a_target_is_a_folder_a_file_or_a_module(tmp_path: Path, text: str, file: str) -> None:
    """Each form finds the single app."""
    write(tmp_path, {file: ONE})
    loaded = load(resolve(text, tmp_path))
    assert loaded.app.app_id == "one"
    assert loaded.asgi is loaded.app
    assert loaded.folder == (tmp_path / file).parent


def test_a_folder_that_is_no_package_by_its_name_is_named(tmp_path: Path) -> None:
    """An `__init__.py` that strayed into a working folder is what is wrong, not the app's file."""
    write(tmp_path, {"my-desk/__init__.py": "", "my-desk/shop/__init__.py": ""})
    write(tmp_path, {"my-desk/shop/app.py": ONE, "my-app.py": ONE})
    with pytest.raises(LaunchError, match=r"folder 'my-desk' has an '__init__.py'.*remove that"):
        resolve("shop", tmp_path / "my-desk")
    with pytest.raises(LaunchError, match=r"rename 'my-app\.py'"):
        resolve("my-app.py", tmp_path)


def test_a_file_inside_a_package_is_imported_as_its_module(tmp_path: Path) -> None:
    """Relative imports work as they do elsewhere."""
    write(
        tmp_path,
        {
            "outer8/__init__.py": "",
            "outer8/names.py": "NAME = 'named'",
            "outer8/app.py": "from .names import NAME\n" + ONE.replace("'one'", "NAME"),
        },
    )
    assert load(resolve("outer8", tmp_path)).app.app_id == "named"


def test_a_host_is_served_for_the_app_inside_it(tmp_path: Path) -> None:
    """install() and wrap(): the host is what a server gets."""
    installed = "from starlette.applications import Starlette\nsite = Starlette()\n"
    write(
        tmp_path,
        {
            "host9/app.py": ONE + installed + "app.install(site)\n",
            "wrap9/main.py": ONE + "async def other(*_): ...\nsite = app.wrap(other)\n",
        },
    )
    for text in ("host9", "wrap9"):
        loaded = load(resolve(text, tmp_path))
        assert loaded.app.app_id == "one"
        assert loaded.asgi is sys.modules["app" if text == "host9" else "main"].site


STARLETTE = """
from starlette.applications import Starlette
from starlette.routing import Mount
"""
MIDDLEWARE = """
class Guard:
    def __init__(self, app): self.app = app
    async def __call__(self, *asgi): await self.app(*asgi)
"""


@pytest.mark.parametrize("text", ["guarded14.py", "guarded14.py:site", "guarded14"])
@pytest.mark.parametrize(
    "host",
    [
        "site = Guard(app)",
        "site = Guard(Guard(app))",
        f"{STARLETTE}inner = Starlette()\napp.install(inner)\nsite = Guard(inner)",
        "async def other(*_): ...\nsite = Guard(app.wrap(other))",
        "site = Guard(app)\ndel app",
    ],
)
def test_middleware_around_an_app_is_served_too(tmp_path: Path, text: str, host: str) -> None:
    """What is outermost is what a server gets, whatever is inside."""
    write(tmp_path, {"guarded14.py": ONE + MIDDLEWARE + host})
    loaded = load(resolve(text, tmp_path))
    assert loaded.app.app_id == "one"
    assert loaded.asgi is sys.modules["guarded14"].site


@pytest.mark.parametrize("text", ["mounted15.py", "mounted15.py:site", "mounted15.py:app"])
@pytest.mark.parametrize(
    "host",
    [
        "site = Starlette(routes=[Mount('/shop', app)])",
        "inner = Starlette()\napp.install(inner)\nsite = Starlette()\nsite.mount('/shop', inner)",
    ],
)
def test_an_app_below_a_prefix_is_refused(tmp_path: Path, text: str, host: str) -> None:
    """No sidecar would find it there: the reason is told before anything runs."""
    write(tmp_path, {"mounted15.py": ONE + STARLETTE + host})
    with pytest.raises(LaunchError) as caught:
        load(resolve(text, tmp_path))
    assert str(caught.value).startswith("'site' mounts a DaprFlow under '/shop', but the sidecar")
    assert "write app.install(site) instead" in str(caught.value)


def test_two_names_for_one_app_are_one_app(tmp_path: Path) -> None:
    """An alias is no second app."""
    write(tmp_path, {"alias10.py": ONE + "application = app\n"})
    assert load(resolve("alias10.py", tmp_path)).app.app_id == "one"


@pytest.mark.row("FA-44")
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("empty", "has no app.py or main.py"),
        ("none.py", "no file 'none.py'"),
        ("no-such", "is no target"),
        ("nosuch:app", "no module 'nosuch'"),
        ("two11.py", "several apps ('a', 'b'); name one: two11:a"),
        ("nothing11.py", "holds no DaprFlow"),
        ("nothing11.py:x", "'x' in module 'nothing11' is no DaprFlow"),
        ("nothing11.py:y", "module 'nothing11' has no 'y'"),
        ("nothing11:", "is no target"),
        ("with-dash.py", "rename 'with-dash.py'"),
        ("json.py", "is hidden by module 'json' of Python itself"),
        ("missing11.py", "No module named 'surely_missing'"),
        ("broken11.py", "SyntaxError"),
        ("raising11.py", "ZeroDivisionError"),
        ("loose11", "make folder 'loose11' a package: add an '__init__.py'"),
    ],
)
def test_what_is_no_target_is_told_in_one_error(tmp_path: Path, text: str, says: str) -> None:
    """Cause and next step, and of a failing module only the user's own frames."""
    two = "from daprflow import DaprFlow\na = DaprFlow('a')\nb = DaprFlow('b')\n"
    write(
        tmp_path,
        {
            "empty/x": "",
            "two11.py": two,
            "nothing11.py": "x = 1",
            "with-dash.py": ONE,
            "json.py": ONE,
            "missing11.py": "import surely_missing",
            "broken11.py": "def (",
            "loose11/app.py": "from .names import NAME",
            "raising11.py": "def f(): return 1 / 0\nf()",
        },
    )
    with pytest.raises(LaunchError) as caught:
        load(resolve(text, tmp_path))
    assert says in str(caught.value)
    assert "importlib" not in str(caught.value)
    assert "launcher" not in str(caught.value)
