import json
from pathlib import Path

import pytest

from daprflow import InvocationError, SecretNotFound
from daprflow.testing import TestSidecar
from examples.secrets.app import Payment, app, partner_token, pay
from tests.helpers.cli_run import Run, finish

HERE = Path(__file__).parent
KEY = "sk-of-this-test"


def vault(**more: str) -> dict[str, dict[str, str]]:
    """Return a secret store as a test gives it."""
    return {"vault": {"signing-key": KEY, **more}}


async def test_the_key_signs_and_is_seen_nowhere(capsys: pytest.CaptureFixture[str]) -> None:
    """Another key gives another signature; what is printed has neither."""
    async with TestSidecar(app, secrets=vault()) as dapr:
        first = await dapr.invoke(pay, Payment("7", 250))
    async with TestSidecar(app, secrets={"vault": {"signing-key": "another"}}) as dapr:
        assert await dapr.invoke(pay, Payment("7", 250)) != first
    printed = capsys.readouterr().out
    assert "paid 7 with Signer(key=Secret('***'))" in printed
    assert KEY not in printed


async def test_an_app_without_its_key_does_not_start() -> None:
    """The provider fails, and the error names the secret and the store."""
    with pytest.raises(SecretNotFound, match="secret 'signing-key' is not in secret store 'vault'"):
        async with TestSidecar(app, secrets={"vault": {"other": "x"}}):
            pass


async def test_an_unknown_partner_is_not_found() -> None:
    """A secret that is not there is an answer, and no failure."""
    async with TestSidecar(app, secrets=vault(**{"partner-acme": "acme-1"})) as dapr:
        assert len(await dapr.invoke(partner_token, partner="acme")) == 16
        with pytest.raises(InvocationError) as failed:
            await dapr.invoke(partner_token, partner="nobody")
    assert failed.value.status == 404


async def test_a_component_takes_its_address_from_the_vault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger is kept where the secret says, which the component file names."""
    monkeypatch.chdir(tmp_path)
    secrets = {"signing-key": KEY, "ledger-dsn": "kept-here.db"}
    (tmp_path / "secrets.json").write_text(json.dumps(secrets))
    async with TestSidecar(app, resources_path=HERE / "resources") as dapr:
        await dapr.invoke(pay, Payment("7", 250))
        assert await dapr.saved("ledger", int) == {"7": 250}
    assert (tmp_path / "kept-here.db").is_file()


@pytest.mark.sockets
def test_the_apps_code_cannot_read_what_its_component_reads(tmp_path: Path) -> None:
    """The Configuration leaves the database's address out of what the app may ask for."""
    (tmp_path / "secrets.json").write_text((HERE / "secrets.json").read_text())
    settings = str(HERE / "configuration.yaml")
    with Run(tmp_path, "run", str(HERE), "--config", settings, "--sidecar", "embedded") as run:
        run.ready()
        assert finish(tmp_path, "secret", "vault") == (0, "partner-acme\nsigning-key")
        code, text = finish(tmp_path, "secret", "vault", "ledger-dsn", "--value")
        assert code != 0
        assert "403" in text, text
