"""``python -m daprflow.cli.dapr DATA_DIR …``: what the ``dapr`` of ``daprflow shim`` runs."""

import sys

from daprflow.cli.dapr.main import main

sys.exit(main(sys.argv[1:]))
