"""Charts without Helm, and with it where it is installed: what they render, in one order."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

VARIABLE = "DAPRFLOW_TEST_HELM"
_WITHIN = 60
_ACTION = re.compile(r"\{\{-?\s*(?P<text>.*?)\s*-?\}\}", re.DOTALL)
_OPENS = re.compile(r"(if|with|range|define|block)\b")


class Helm:
    """The program ``helm``."""

    def __init__(self, program: str) -> None:
        self._program = program

    def run(self, *words: str | Path) -> "subprocess.CompletedProcess[str]":
        """Run it; whoever calls looks at how it ended."""
        return subprocess.run(
            [self._program, *map(str, words)],
            capture_output=True,
            text=True,
            timeout=_WITHIN,
            check=False,
        )

    def render(self, chart: Path, *words: str | Path) -> list[dict[str, Any]]:
        """Return the objects of a chart."""
        done = self.run("template", "release", chart, *words)
        assert done.returncode == 0, done.stderr
        return [tree for tree in yaml.safe_load_all(done.stdout) if tree]


def helm() -> Helm:
    """Return Helm; the test is skipped where it is not installed."""
    program = os.environ.get(VARIABLE) or shutil.which("helm")
    if program is None:
        pytest.skip(f"helm is not on PATH, and {VARIABLE} does not name it")
    return Helm(program)


def laid_over(base: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as Helm has them: mappings entry by entry, nothing for what is null."""
    found = dict(base)
    for name, value in above.items():
        old = found.get(name)
        if value is None:
            found.pop(name, None)
        elif isinstance(old, Mapping) and isinstance(value, Mapping):
            found[name] = laid_over(old, value)
        else:
            found[name] = value
    return found


def same(trees: Iterable[Mapping[str, Any]]) -> list[Any]:
    """Return objects in one order, with what has no order in one, too, and without a namespace."""
    return sorted(map(_ordered, trees), key=lambda tree: (tree["kind"], tree["metadata"]["name"]))


def _ordered(tree: Any) -> Any:
    if isinstance(tree, list):
        named = all(isinstance(each, dict) and "name" in each for each in tree)
        inner = [_ordered(each) for each in tree]
        return sorted(inner, key=lambda each: str(each["name"])) if named else inner
    if isinstance(tree, Mapping):
        return {name: _ordered(value) for name, value in tree.items() if name != "namespace"}
    return tree


def unbalanced(text: str) -> list[str]:
    """Return what a template opens and does not close, or closes and never opened."""
    opened: list[str] = []
    for match in _ACTION.finditer(text):
        action = match["text"]
        if _OPENS.match(action):
            opened.append(action)
        elif action == "end":
            if not opened:
                return ["end"]
            opened.pop()
    return opened + ["{{"] * (text.count("{{") - text.count("}}"))
