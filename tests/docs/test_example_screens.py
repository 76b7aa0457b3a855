"""Every command in the README of an example works, and prints what the README shows."""

import shlex
import shutil
from pathlib import Path

import pytest

from tests.helpers.screen_player import Player
from tests.helpers.screens import Screen, screens

ROOT = Path(__file__).parents[2]
READMES = sorted((ROOT / "examples").glob("*/README.md"))
# What a machine need not have; an example that types one of these is left out where it is missing.
FOREIGN = frozenset({"curl", "go", "grpcurl", "helm", "java", "node", "npm"})


def screens_of(readme: Path) -> list[Screen]:
    """The screens under "Run it"."""
    text = readme.read_text(encoding="utf-8")
    return screens(text.partition("\n## Run it\n")[2].partition("\n## ")[0])


def missing(readme: Path) -> list[str]:
    """The programs that the commands name and this machine lacks."""
    typed = [each.command for screen in screens_of(readme) for each in screen.typed]
    words = {word for command in typed for word in shlex.split(command)}
    words |= set(readme.read_text(encoding="utf-8").partition("<!-- needs ")[2].split(" -->")[:1])
    return sorted(word for word in words & FOREIGN if shutil.which(word) is None)


@pytest.mark.sockets
@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.parent.name)
def test_commands_print_what_the_readme_shows(readme: Path, tmp_path: Path) -> None:
    """Typed one after the other, in a copy of the folder, by somebody new."""
    if absent := missing(readme):
        pytest.skip(f"this machine has no {', '.join(absent)}")
    folder = tmp_path / readme.parent.name
    left = shutil.ignore_patterns("__pycache__", ".daprflow", ".dapr", "node_modules")
    shutil.copytree(readme.parent, folder, ignore=left)
    with Player(folder, f"~/daprflow/examples/{folder.name}", tmp_path / "home") as player:
        for screen in screens_of(readme):
            player.play(screen)
        player.end()
