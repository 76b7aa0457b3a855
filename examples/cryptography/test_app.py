import base64
import secrets
from pathlib import Path

import pytest

from daprflow.testing import TestSidecar
from examples.cryptography.app import Note, app, read, write

RESOURCES = Path(__file__).parent / "resources"


async def test_a_note_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key lies in a file; the app never sees it."""
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "notes").write_bytes(base64.b64encode(secrets.token_bytes(32)))
    monkeypatch.chdir(tmp_path)
    async with TestSidecar(app, resources_path=RESOURCES) as dapr:
        await dapr.invoke(write, Note("n1", "buy milk"))
        assert await dapr.invoke(read, "n1") == "buy milk"
        assert await dapr.invoke(read, "n2") == "no such note"
