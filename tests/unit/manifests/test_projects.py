import json
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from daprflow.manifests import dev, docker
from daprflow.manifests.images import dockerfile, dockerignore
from daprflow.manifests.model import AppModel, File, Model
from daprflow.manifests.projects import PYTHON, project_of
from daprflow.manifests.write import rendered
from tests.helpers.cli_run import WITHIN, Run
from tests.helpers.manifest_models import app, model, settings
from tests.helpers.own_ports import free_port


def at(root: Path, own: AppModel | None = None) -> AppModel:
    """Return an app that lies in a folder."""
    own = own or app()
    return replace(own, facts=msgspec.structs.replace(own.facts, root=str(root)))


def made(files: tuple[File, ...]) -> dict[str, str]:
    """Return files by their paths."""
    return {file.path: file.text for file in files}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a folder that nothing above is looked at from."""
    (tmp_path / ".git").mkdir()
    return tmp_path


def test_a_project_is_the_nearest_folder_that_pip_can_install(repository: Path) -> None:
    """From there the code is found again, however deep it lies."""
    (repository / "pyproject.toml").touch()
    (repository / "src" / "shop").mkdir(parents=True)
    found = project_of(at(repository / "src").facts)
    assert (found.folder, found.path, found.installs_itself) == (repository, "src", True)


def test_requirements_go_before_a_project_file(repository: Path) -> None:
    """Who has both has the first for what runs, and the second often for tools alone."""
    (repository / "pyproject.toml").touch()
    (repository / "requirements.txt").touch()
    assert project_of(at(repository).facts).requirements == ("-r", "requirements.txt")


def test_nothing_above_a_repository_counts(tmp_path: Path) -> None:
    """An app in a repository without either is a project of its own."""
    (tmp_path / "pyproject.toml").touch()
    inner = tmp_path / "inner"
    (inner / ".git").mkdir(parents=True)
    found = project_of(at(inner).facts)
    assert (found.folder, found.requirements) == (inner, ())


@pytest.mark.parametrize(
    ("text", "version"),
    [("3.12\n", "3.12"), ("3.11.9", "3.11"), ("pypy3.10", PYTHON), ("", PYTHON)],
)
def test_the_version_of_python_is_the_projects(repository: Path, text: str, version: str) -> None:
    """As its file says; a minor version, whose fixes an image gets when it is built."""
    (repository / ".python-version").write_text(text)
    assert project_of(at(repository).facts).python == version


def test_an_image_has_two_stages_and_a_user_without_rights(repository: Path) -> None:
    """What builds stays behind; the app runs as nobody in particular, and is watched."""
    (repository / "requirements.txt").touch()
    text = dockerfile(at(repository, app(given=settings(user=1234, port=9000, workers=2))))
    lines = text.splitlines()
    assert [each for each in lines if each.startswith("FROM")] == [
        f"FROM python:{PYTHON}-slim AS build",
        f"FROM python:{PYTHON}-slim",
    ]
    assert lines.index("COPY requirements.txt ./") < lines.index(
        "RUN pip install -r requirements.txt"
    )
    assert lines.index("USER 1234:1234") > lines.index("COPY . .")
    assert "EXPOSE 9000" in lines
    assert json.loads(lines[-1].removeprefix("CMD ")) == ["daprflow", "serve", "app"]
    told = {each.strip(" \\") for each in lines}
    assert {"APP_PORT=9000", "DAPRFLOW_HOST=0.0.0.0", "DAPRFLOW_WORKERS=2"} <= told


@pytest.mark.sockets
def test_what_an_image_runs_is_served_and_found_healthy(tmp_path: Path) -> None:
    """Its command listens where its variables say, and its health check ends well."""
    (tmp_path / "app.py").write_text('from daprflow import DaprFlow\n\napp = DaprFlow("shop")\n')
    port = free_port()
    text = dockerfile(at(tmp_path, app(given=settings(port=port))))
    told = dict(re.findall(r"^(?:ENV| )  *((?:APP|DAPRFLOW)_\w+)=(\S+)", text, re.MULTILINE))
    check, command = (json.loads(each) for each in re.findall(r"CMD (\[.*\])", text))
    with Run(tmp_path, *command[1:], env=told) as run:
        deadline = time.monotonic() + WITHIN
        while subprocess.run(
            [sys.executable, *check[1:]], env=told, capture_output=True, check=False, timeout=WITHIN
        ).returncode:
            assert time.monotonic() < deadline, run.text
            assert run.process.poll() is None, run.text


def test_an_image_of_a_project_installs_it(repository: Path) -> None:
    """And works in the folder that its code is found from."""
    (repository / "pyproject.toml").touch()
    (repository / "src").mkdir()
    lines = dockerfile(at(repository / "src")).splitlines()
    assert lines.index("COPY . .") < lines.index("RUN pip install .")
    assert "WORKDIR /app/src" in lines


def test_an_image_of_code_alone_has_this_library(repository: Path) -> None:
    """Its version is held, with fixes let in."""
    assert 'RUN pip install "daprflow==' in dockerfile(at(repository))


def test_no_image_holds_secrets() -> None:
    """Files that usually have some are left out, with all that only a developer has."""
    left_out = dockerignore().splitlines()
    assert {"**/.env", "**/.env.*", "**/*.pem", "**/*.key", "**/.daprflow"} <= set(left_out)


def test_each_of_several_apps_has_an_image_of_its_own(repository: Path) -> None:
    """One alone has the usual name; what is left out is the same for all."""
    several = Model((at(repository, app("a")), at(repository, app("b"))))
    assert list(made(docker.files(several))) == ["Dockerfile.a", "Dockerfile.b", ".dockerignore"]
    assert list(made(docker.files(model(at(repository))))) == ["Dockerfile", ".dockerignore"]


def test_a_dev_container_installs_what_the_project_says(repository: Path) -> None:
    """With the Python of the project, and the ports of app and sidecar forwarded."""
    (repository / ".python-version").write_text("3.12")
    (repository / "requirements.txt").touch()
    found = json.loads(made(dev.files(model(at(repository))))[".devcontainer/devcontainer.json"])
    assert found["image"].endswith("python:1-3.12-bookworm")
    assert found["postCreateCommand"] == "pip install -r requirements.txt"
    assert found["forwardPorts"] == [8000, 3500]
    assert found["remoteUser"] != "root"


def test_a_debugger_attaches_to_every_app(repository: Path) -> None:
    """By the port that ``daprflow run --debug`` listens on; tests can be debugged, too."""
    several = Model((at(repository, app("a")), at(repository, app("b"))))
    found = json.loads(made(dev.files(several))[".vscode/launch.json"])
    attach = [each for each in found["configurations"] if each["request"] == "attach"]
    assert len(attach) == 2
    assert {each["connect"]["port"] for each in attach} == {5678}
    assert found["configurations"][-1]["module"] == "pytest"


def test_what_a_project_has_of_its_own_stays(tmp_path: Path) -> None:
    """Its settings are not in the way of a dev container; what was generated is made anew."""
    given = replace(model(at(tmp_path)), output=tmp_path)
    every = dev.files(given)
    (tmp_path / ".vscode").mkdir()
    (tmp_path / ".vscode" / "launch.json").write_text(rendered(every[1], "dev"))
    (tmp_path / "daprflow.toml").write_text("[run]\n")
    assert dev.files(given) == every[:2]
    assert dev.notes(given) == ("'daprflow.toml' is your own and stays as it is",)
