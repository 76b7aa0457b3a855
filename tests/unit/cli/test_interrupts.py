"""Ctrl-C while Python still imports the program."""

import signal
import subprocess
import sys

import pytest

PROGRAM = """
import os, signal, sys

class AtImport:
    def find_spec(self, name, path=None, target=None):
        if name == "{module}":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, AtImport())
signal.signal(signal.SIGINT, signal.{handler})
sys.argv = ["daprflow", "publish", "pubsub", "orders", "1", "--data-dir", "nowhere"]
from daprflow_command import main
main()
"""


@pytest.mark.parametrize(
    ("module", "handler", "code", "said"),
    [
        ("daprflow", "default_int_handler", -signal.SIGINT, ""),
        ("daprflow.cli.main", "default_int_handler", -signal.SIGINT, ""),
        ("daprflow.cli.publish", "default_int_handler", 130, ""),
        ("daprflow", "SIG_IGN", 4, "nothing runs in 'nowhere'"),
    ],
)
def test_ctrl_c_while_it_starts_prints_no_traceback(
    module: str, handler: str, code: int, said: str
) -> None:
    """It ends silently, whatever is imported; where Ctrl-C is ignored, as with `&`, it goes on."""
    program = PROGRAM.format(module=module, handler=handler)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == code
    assert (said in done.stderr) if said else (done.stderr == "")
