"""What a cluster gets is made from the services' code, and agrees with it."""

from pathlib import Path

import pytest

from tests.helpers.shell import code_of

HERE = Path(__file__).parent
SERVICES = sorted(
    path.stem
    for path in (HERE / "services").glob("*.py")
    if path.stem not in {"__init__", "contracts"}
)


def test_the_manifests_of_all_services_agree_with_their_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One command makes them, with the cluster's components and without a secret in any."""
    monkeypatch.chdir(HERE)
    deploy = tmp_path / "deploy"
    cluster = ("--resources-path", "components/cluster")
    assert code_of("manifests", "-f", ".", *cluster, "-o", str(deploy)) == 0
    assert len(SERVICES) == 9
    assert sorted(path.name for path in (deploy / "apps").iterdir()) == SERVICES
    for service in SERVICES:
        target = f"examples.learning_platform.services.{service}:app"
        assert code_of("check", target, "--manifests", str(deploy)) == 0, service
        deployment = (deploy / "apps" / service / "deployment.yaml").read_text()
        assert f"- services/{service}.py" in deployment
    types = {path.name: path.read_text() for path in (deploy / "component").iterdir()}
    assert "pubsub.kafka" in types["pubsub.yaml"]
    assert "secretKeyRef" in types["statestore.yaml"]
    assert "- payments\n" in types["vault.yaml"]
