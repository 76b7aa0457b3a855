"""The file that stands in for the stores of a cloud."""

from pathlib import Path

import msgspec

from daprflow.sidecar.components.secret_json import Secrets

HERE = Path(__file__).parent


def test_the_file_has_texts_and_pairs() -> None:
    """Stores, then secrets, each of which is a text or several pairs."""
    text = (HERE / "stand_ins.json").read_bytes()
    assert msgspec.json.decode(text, type=Secrets) == {
        "vault": {"dsn": "postgres://localhost/shop", "kafka": {"user": "u", "password": "p"}}
    }
