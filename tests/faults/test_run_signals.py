"""``daprflow run`` and what a terminal, or an odd folder, does to it."""

import signal
from pathlib import Path

import pytest

from tests.helpers.cli_run import Run, finish, write

pytestmark = [
    pytest.mark.sockets,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="counts through /proc"),
]
APP = """
from daprflow import DaprFlow

app = DaprFlow("shop")


@app.invoke
async def total() -> int:
    return 5
"""


@pytest.mark.row("FC-02")
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGQUIT], ids=["hang up", "quit"])
def test_a_terminal_that_goes_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    """FC-02: whichever signal a closed terminal or a quit key sends, no process is left."""
    write(tmp_path, {"app.py": APP})
    with Run(tmp_path, "run", "--ephemeral", ".") as run:
        run.ready()
        run.send(number)
        run.ended()
        assert run.all_gone()


@pytest.mark.row("FC-02", "FC-11")
def test_a_run_that_is_stopped_goes_on(tmp_path: Path) -> None:
    """FC-02, FC-11: after Ctrl-Z and fg all works, in a folder of any name as well."""
    folder = tmp_path / "mein Ordner ü"
    folder.mkdir()
    write(folder, {"app.py": APP, ".daprflow/run.json": '{"pid": 1}'})
    with Run(folder, "run", ".") as run:
        run.ready()
        run.send(signal.SIGSTOP)
        run.send(signal.SIGCONT)
        assert finish(folder, "invoke", "shop", "total") == (0, "5")
        run.send(signal.SIGINT)
        assert run.ended() == 0
        assert run.all_gone()
