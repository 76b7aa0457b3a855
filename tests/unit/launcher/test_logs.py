"""What lines our processes print."""

import subprocess
import sys

PROGRAM = """
import logging
from daprflow.launcher.logs import configure_logging

configure_logging("debug")
logger = logging.getLogger("grpc._cython.cygrpc")
logger.error("Invalid encoding on %s", b"s3cr3t")
logger.error("another problem")
"""


def test_no_value_of_a_callers_metadata_is_printed() -> None:
    """What the gRPC library prints of values that are no text is left out, the rest stays."""
    command = [sys.executable, "-c", PROGRAM]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    assert "another problem" in printed
    assert "s3cr3t" not in printed
