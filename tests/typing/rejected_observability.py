"""Misuses of metrics, logs and secrets; mypy refuses exactly the lines that say so."""

from daprflow import DaprFlow
from daprflow.observability import Logs, Metrics, Observability, Secret

DaprFlow("shop", observability=True)  # refused: arg-type
Observability(metrics="/metrics")  # refused: arg-type
Observability(metrics=9464)  # refused: arg-type
Observability(logs="json")  # refused: arg-type
Metrics("/metrics")  # refused: call-arg
Metrics(port="9464")  # refused: arg-type
Logs(level=20)  # refused: arg-type
Logs(stream="app.log")  # refused: arg-type
Secret(b"bytes")  # refused: arg-type
token: str = Secret("s3cret")  # refused: assignment
"Bearer " + Secret("s3cret")  # refused: operator
