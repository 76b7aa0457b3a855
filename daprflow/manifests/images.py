"""The Dockerfile of an app: two stages, a user without rights, and nothing of a developer's own."""

import json
from collections.abc import Sequence
from importlib.metadata import version

from daprflow.manifests.model import AppModel
from daprflow.manifests.projects import Project, project_of

_IGNORED = """\
**/.git
**/.gitignore
**/.venv
**/venv
**/__pycache__
**/*.py[cod]
**/.mypy_cache
**/.pytest_cache
**/.ruff_cache
**/.tox
**/.daprflow
**/.dapr
**/.devcontainer
**/.vscode
**/.idea
**/.dockerignore
**/Dockerfile*
**/compose*.yaml
**/node_modules
**/build
**/dist

# What may hold secrets stays here.
**/.env
**/.env.*
**/*.key
**/*.pem
**/*.pfx
**/secrets.json
"""
_HEALTHY = """\
import os, urllib.request as r; \
r.urlopen('http://127.0.0.1:' + os.environ['APP_PORT'] + {path!r}, timeout=2)"""


def dockerignore() -> str:
    """Return what is left out of every image: caches, data of runs, and what may hold secrets."""
    return _IGNORED


def dockerfile(app: AppModel) -> str:
    """Return the text of a Dockerfile that is built in the folder of the app's project."""
    project = project_of(app.facts)
    return "\n".join([*_build(project), "", *_run(app, project), ""])


def _variables(app: AppModel) -> dict[str, str]:
    """Return how ``daprflow serve`` is told its options, so that a pod can tell it others."""
    settings = app.settings
    return {
        "PATH": "/venv/bin:$PATH",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "APP_PORT": str(settings.port),
        "DAPRFLOW_HOST": "0.0.0.0",  # noqa: S104 - of the container
        "DAPRFLOW_GRACE": str(settings.grace),
        "DAPRFLOW_LOG_LEVEL": settings.log_level,
        **({"DAPRFLOW_WORKERS": str(settings.workers)} if settings.workers > 1 else {}),
    }


def _build(project: Project) -> list[str]:
    if project.installs_itself:
        install = ["COPY . .", "RUN pip install ."]
    elif project.requirements:
        file = project.requirements[-1]
        install = [f"COPY {file} ./", f"RUN pip install {' '.join(project.requirements)}"]
    else:
        install = [f'RUN pip install "{own_requirement()}"']
    return [
        f"FROM python:{project.python}-slim AS build",
        "ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1",
        "RUN python -m venv /venv",
        "ENV PATH=/venv/bin:$PATH",
        "WORKDIR /build",
        *install,
    ]


def _run(app: AppModel, project: Project) -> list[str]:
    settings = app.settings
    user = settings.user
    command = ("daprflow", "serve", app.facts.module)
    below = [] if project.path == "." else [f"WORKDIR {_word('/app/' + project.path)}"]
    healthy = _HEALTHY.format(path=settings.probes.liveness.path)
    first, *others = (f"{name}={value}" for name, value in _variables(app).items())
    return [
        f"FROM python:{project.python}-slim",
        f"RUN groupadd --gid {user} app \\",
        f"    && useradd --uid {user} --gid {user} --no-create-home --shell /usr/sbin/nologin app",
        " \\\n".join([f"ENV {first}", *(f"    {each}" for each in others)]),
        "COPY --from=build /venv /venv",
        "WORKDIR /app",
        "COPY . .",
        *below,
        f"USER {user}:{user}",
        f"EXPOSE {settings.port}",
        "HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \\",
        f"    CMD {_words(['python', '-c', healthy])}",
        f"CMD {_words(command)}",
    ]


def own_requirement(extra: str = "") -> str:
    """Return what pip is told where the project says nothing: this version, with fixes."""
    major, minor, *_ = version("daprflow").split(".")
    return f"daprflow{f'[{extra}]' if extra else ''}=={major}.{minor}.*"


def _word(text: str) -> str:
    return json.dumps(text) if " " in text else text


def _words(words: Sequence[str]) -> str:
    return json.dumps(list(words))
