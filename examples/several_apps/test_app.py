import signal
from pathlib import Path

import pytest

from tests.helpers.cli_run import Run, finish

HERE = Path(__file__).parent

pytestmark = [
    pytest.mark.sockets,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="counts through /proc"),
]


def test_three_services_run_with_one_command(tmp_path: Path) -> None:
    """A call goes from app to app, the bill to the third one, and Ctrl-C ends all of them."""
    with Run(tmp_path, "run", "-f", str(HERE), "--ephemeral") as run:
        assert "all 3 healthy in" in run.until("healthy")
        code, text = finish(tmp_path, "invoke", "shop", "order", '{"id": "7", "sku": "tea"}')
        assert (code, text) == (0, '{"order":"7","total":357}')
        assert run.until("to the buyer").startswith("mail    | ")
        run.send(signal.SIGINT)
        assert run.ended() == 0
        assert run.all_gone()
