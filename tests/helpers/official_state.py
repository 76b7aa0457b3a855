"""A process that saves and reads state through the official SDK, which talks gRPC.

    python -m tests.helpers.official_state STORE < order

The order is JSON, ``{"save": {key: base64}, "get": [key, ...]}``; the values come back as JSON.
A process, because that SDK reads the environment when it is imported and blocks its loop.
"""

import json
import sys
from base64 import b64decode, b64encode

from dapr.clients import DaprClient


def main(store: str) -> None:
    """Save, then read."""
    order = json.load(sys.stdin)
    with DaprClient() as client:
        for key, value in order["save"].items():
            client.save_state(store, key, b64decode(value))
        found = {key: client.get_state(store, key).data for key in order["get"]}
    json.dump({key: b64encode(value).decode() for key, value in found.items()}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
