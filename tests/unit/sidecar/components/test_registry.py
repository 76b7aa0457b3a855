"""Which component types there are."""

from pathlib import Path

import pytest

from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.components.base import ComponentError
from daprflow.sidecar.components.registry import COMPONENTS, supported
from tests.helpers.components import context

POSTGRES = "postgres://u:p@localhost/db"
NEEDED = {
    "middleware.http.bearer": {"issuer": "https://issuer", "audience": "a"},
    "middleware.http.oauth2clientcredentials": {
        "clientId": "c",
        "clientSecret": "s",
        "scopes": "a",
        "tokenURL": "https://issuer/token",
        "headerName": "authorization",
        "authStyle": "0",
    },
    "state.postgres": {"connectionString": POSTGRES},
    "state.postgresql": {"connectionString": POSTGRES},
}


@pytest.mark.parametrize("kind", sorted(COMPONENTS))
def test_every_registered_type_can_be_made(tmp_path: Path, kind: str) -> None:
    """Each registered type has a factory that makes something with features."""
    made = COMPONENTS[kind](context(tmp_path, VirtualClock(), kind, **NEEDED.get(kind, {})))
    assert isinstance(made.capabilities, tuple)
    assert kind in supported(kind.partition(".")[0])


@pytest.mark.parametrize("kind", sorted(NEEDED))
def test_what_a_type_needs_is_named(tmp_path: Path, kind: str) -> None:
    """Without what it cannot do without, a component is refused before it is opened."""
    with pytest.raises(ComponentError, match="'"):
        COMPONENTS[kind](context(tmp_path, VirtualClock(), kind))


def test_types_of_an_unknown_kind() -> None:
    """For a kind that is not there every type is listed."""
    assert set(supported("nonsense")) == set(COMPONENTS)
