"""What a deployment is called where it needs one name: a chart, a project of Compose."""

import os
import re
import tomllib
from pathlib import Path

from daprflow.manifests.model import Model

_OTHERWISE = "apps"


def deployment_name(model: Model) -> str:
    """Return the id of the only app; of several, the name of the project that they are all in.

    Without one it is the name of their folder, which another copy may not have. It has small
    letters, digits and ``-`` alone, and begins with a letter.
    """
    if len(model.apps) == 1:
        name = model.apps[0].app_id
    else:
        folder = Path(os.path.commonpath([app.facts.root for app in model.apps]))
        name = _project(folder / "pyproject.toml") or folder.name
    kept = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return kept if kept[:1].isalpha() else _OTHERWISE


def _project(file: Path) -> str:
    """Return what a project calls itself; empty where it does not."""
    try:
        name = tomllib.loads(file.read_text(encoding="utf-8"))["project"]["name"]
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError, TypeError):
        return ""
    return name if isinstance(name, str) else ""
