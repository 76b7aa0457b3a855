import subprocess
import sys
from pathlib import Path

import pytest

APP = """
from daprflow import DaprFlow

app = DaprFlow("shop")

@app.invoke
async def hello(name: str) -> str: ...
"""


def manifests(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run the command in a folder."""
    return subprocess.run(
        [sys.executable, "-m", "daprflow", "manifests", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.sockets
def test_a_folder_follows_the_code(tmp_path: Path) -> None:
    """It is written, compared, kept where it was edited, and refused by name without a word."""
    (tmp_path / "app.py").write_text(APP)
    assert manifests(tmp_path, "app.py", "--diff").returncode == 1
    assert not (tmp_path / "deploy").exists()
    first = manifests(tmp_path, "app.py")
    assert first.returncode == 0, first.stderr
    assert "created deploy/apps/shop/deployment.yaml" in first.stdout
    same = manifests(tmp_path, "app.py", "--diff")
    assert (same.returncode, same.stdout) == (0, "")
    (tmp_path / "daprflow.toml").write_text("[manifests]\nreplicas = 7\n")
    changed = manifests(tmp_path, "app.py", "--diff")
    assert changed.returncode == 1
    assert "+  replicas: 7" in changed.stdout
    file = tmp_path / "deploy" / "apps" / "shop" / "deployment.yaml"
    edited = file.read_text().replace("replicas: 2", "replicas: 3")
    file.write_text(edited)
    refused = manifests(tmp_path, "app.py")
    assert refused.returncode == 1
    assert "deployment.yaml' was edited by hand" in refused.stderr
    kept = manifests(tmp_path, "app.py", "--keep")
    assert kept.returncode == 0
    assert "kept deploy/apps/shop/deployment.yaml" in kept.stdout
    assert file.read_text() == edited
    assert manifests(tmp_path, "app.py", "--diff").returncode == 1
    assert manifests(tmp_path, "app.py", "--diff", "--keep").returncode == 0


@pytest.mark.sockets
def test_nothing_to_write_is_told(tmp_path: Path) -> None:
    """An app without components has no files of components; no folder is made, nothing fails."""
    (tmp_path / "app.py").write_text(APP)
    done = manifests(tmp_path, "app.py", "--target", "components", "--env", "dev")
    assert (done.returncode, done.stdout) == (0, "")
    assert "nothing to write for target 'components'" in done.stderr
    assert "for the environment 'dev'" in done.stderr
    assert not (tmp_path / "deploy").exists()


@pytest.mark.sockets
def test_misuse_is_told(tmp_path: Path) -> None:
    """A target that there is not, and nothing to deploy, end with exit code 2."""
    (tmp_path / "app.py").write_text(APP)
    for words, says in (
        (("app.py", "--target", "nomad"), "no target 'nomad'"),
        ((), "name what to deploy"),
        (("app.py", "-f", "dapr.yaml"), "name what to deploy"),
    ):
        done = manifests(tmp_path, *words)
        assert done.returncode == 2
        assert says in done.stderr
