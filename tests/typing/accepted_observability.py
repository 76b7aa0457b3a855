"""Uses of metrics, logs and secrets that mypy accepts in strict mode."""

import sys
from typing import assert_type

from daprflow import DaprFlow
from daprflow.observability import LogFormat, Logs, Metrics, Observability, Secret

everything = Observability(metrics=True, logs=True)
nothing = Observability(metrics=False, logs=False, tracing=False)
apart = Observability(
    metrics=Metrics(host="0.0.0.0", port=9464),
    logs=Logs(
        format=LogFormat.CONSOLE, level="warning", deliveries=False, stream=sys.stderr.buffer
    ),
)
app = DaprFlow("shop", observability=apart)
key = Secret("s3cret")
assert_type(key.reveal(), str)
assert_type(str(key), str)
