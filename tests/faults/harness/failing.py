"""The ``daprflow`` command whose databases follow a plan of fail-points; see `steps`.

python -m tests.faults.harness.failing sidecar --app-id shop
"""

from daprflow.cli.main import main
from tests.faults.harness.steps import install_from_environment

if __name__ == "__main__":
    install_from_environment()
    main()
