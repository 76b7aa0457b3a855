"""Secret stores: the rows of Dapr's component conformance for files and the environment."""

import json
from pathlib import Path
from typing import cast

import pytest

from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.components.base import ComponentError, SecretStore
from daprflow.sidecar.components.registry import COMPONENTS
from tests.helpers.components import context

SECRETS = {"token": "t0", "db": {"user": "u", "login": {"password": "p"}}, "list": ["a", "b"]}


async def open_secrets(kind: str, root: Path, **metadata: str) -> SecretStore:
    """Open a secret store."""
    component = cast(
        "SecretStore", COMPONENTS[kind](context(root, VirtualClock(), kind, **metadata))
    )
    await component.open()
    return component


async def open_file(root: Path, content: object, **metadata: str) -> SecretStore:
    """Open a secrets file that holds ``content``."""
    (root / "secrets.json").write_text(json.dumps(content), encoding="utf-8")
    return await open_secrets(
        "secretstores.local.file", root, secretsFile="secrets.json", **metadata
    )


async def test_c_se_01_get(tmp_path: Path) -> None:
    """C-SE-01: a secret is exactly its name and value."""
    store = await open_file(tmp_path, SECRETS)
    assert await store.get("token", {}) == {"token": "t0"}
    await store.close()


async def test_c_se_02_bulk(tmp_path: Path) -> None:
    """C-SE-02: bulk gives every secret with its value."""
    store = await open_file(tmp_path, SECRETS)
    everything = await store.bulk({})
    assert everything["token"] == {"token": "t0"}
    assert set(everything) == {"token", "db:user", "db:login:password", "list:0", "list:1"}
    await store.close()


@pytest.mark.parametrize("separator", ["", ":", ".", "__"])
async def test_c_se_03_nested(tmp_path: Path, separator: str) -> None:
    """C-SE-03: nested keys are joined with the separator, which is a colon by default."""
    metadata = {"nestedSeparator": separator} if separator else {}
    store = await open_file(tmp_path, SECRETS, **metadata)
    name = (separator or ":").join(("db", "login", "password"))
    assert await store.get(name, {}) == {name: "p"}
    await store.close()


async def test_c_se_03_multi_valued(tmp_path: Path) -> None:
    """C-SE-03: multi-valued, the first level names a secret and the rest are its keys."""
    store = await open_file(tmp_path, SECRETS, multiValued="true")
    assert await store.get("db", {}) == {"user": "u", "login:password": "p"}
    assert await store.get("token", {}) == {"token": "t0"}
    assert "MULTIPLE_KEY_VALUES_PER_SECRET" in store.capabilities
    await store.close()


async def test_missing_secret(tmp_path: Path) -> None:
    """A secret that is not there is an error that names it."""
    store = await open_file(tmp_path, SECRETS)
    with pytest.raises(ComponentError, match="secret none not found"):
        await store.get("none", {})
    await store.close()


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"', "\xff"])
async def test_unreadable_file(tmp_path: Path, text: str) -> None:
    """A secrets file that is not a JSON object stops the start; its content is not in the error."""
    (tmp_path / "secrets.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ComponentError, match=r"secrets\.json") as error:
        await open_secrets("secretstores.local.file", tmp_path, secretsFile="secrets.json")
    assert "\n" not in str(error.value)


async def test_missing_file(tmp_path: Path) -> None:
    """A secrets file that is not there stops the start; the error names it."""
    with pytest.raises(ComponentError, match=r"nowhere\.json"):
        await open_secrets("secretstores.local.file", tmp_path, secretsFile="nowhere.json")


async def test_c_se_04_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """C-SE-04: a variable is read by its name, with the prefix put before it."""
    monkeypatch.setenv("SHOP_TOKEN", "t1")
    plain = await open_secrets("secretstores.local.env", tmp_path)
    prefixed = await open_secrets("secretstores.local.env", tmp_path, prefix="SHOP_")
    assert await plain.get("SHOP_TOKEN", {}) == {"SHOP_TOKEN": "t1"}
    assert await prefixed.get("TOKEN", {}) == {"TOKEN": "t1"}
    assert (await prefixed.bulk({}))["TOKEN"] == {"TOKEN": "t1"}
    assert set(await prefixed.bulk({})) == {"TOKEN"}
    assert await plain.get("shop_token", {}) == {"shop_token": ""}


@pytest.mark.row("S-40")
async def test_environment_hides_daprs_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dapr's own variables and tokens are neither given nor listed."""
    for name in ("APP_API_TOKEN", "DAPR_API_TOKEN", "dapr_x"):
        monkeypatch.setenv(name, "hidden")
    store = await open_secrets("secretstores.local.env", tmp_path)
    for name in ("APP_API_TOKEN", "DAPR_API_TOKEN", "dapr_x"):
        assert await store.get(name, {}) == {name: ""}
    assert "hidden" not in str(await store.bulk({}))
