"""``python -m daprflow``."""

from daprflow.cli.main import main

main()
