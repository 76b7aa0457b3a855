"""Configuration of a running service: changed from another terminal, kept, and followed."""

from pathlib import Path

import pytest

from tests.helpers.cli_run import Run, finish, write

pytestmark = pytest.mark.sockets

APP = """
from daprflow import ConfigItem, DaprFlow

app = DaprFlow("shop")


@app.configuration("settings", "limit", default=1)
async def on_limit(item: ConfigItem[int]) -> None:
    print(f"limit {item.value} version '{item.version}'", flush=True)
"""


def test_a_run_follows_what_is_set(tmp_path: Path) -> None:
    """What was set before is there at the start; what is set meanwhile comes at once."""
    write(tmp_path, {"app.py": APP})
    assert finish(tmp_path, "config", "set", "settings", "limit", "4")[0] == 0
    with Run(tmp_path, "run", ".") as run:
        run.until("limit 4 version ''")
        run.ready()
        code, text = finish(tmp_path, "config", "set", "settings", "limit", "7", "--version", "2")
        assert (code, text) == (0, "set 'limit' in 'settings'")
        run.until("limit 7 version '2'")
        assert finish(tmp_path, "config", "list")[1] == "settings limit 2 7"
        code, text = finish(tmp_path, "config", "set", "zzz", "a", "b")
        assert code == 3
        assert "there is no configuration store 'zzz'; there is 'configstore', 'settings'" in text
        assert finish(tmp_path, "config", "delete", "settings", "limit")[0] == 0
        run.until("limit 1 version ''")
