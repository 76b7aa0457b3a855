"""Actors of a running service: what a run switches on for them."""

from pathlib import Path

import pytest

from tests.faults.test_run_daprd import EXPIRING
from tests.helpers.cli_run import Run, finish, write

pytestmark = pytest.mark.sockets


def test_parts_that_expire_are_kept_without_a_configuration(tmp_path: Path) -> None:
    """An app whose actors have such parts runs as it is; a configuration of the user's counts."""
    write(tmp_path, {"app.py": EXPIRING, "mine.yaml": "kind: Configuration\nmetadata: {name: m}\n"})
    with Run(tmp_path, "run", ".") as run:
        run.ready()
        assert finish(tmp_path, "invoke", "shop", "enter", '"ann"') == (0, '"ann"')
    with Run(tmp_path, "run", ".", "--config", "mine.yaml") as run:
        run.ready()
        code, _ = finish(tmp_path, "invoke", "shop", "enter", '"bob"')
        assert code == 1
        run.until("ActorStateTTL")
