"""Misuses of traces and watchers; mypy refuses exactly the lines that say so."""

from daprflow import Client, DaprFlow
from daprflow.observability import Observability, Watcher, trace_calls
from daprflow.testing import TestSidecar

app = DaprFlow("shop")
Observability(tracing="otlp")  # refused: arg-type
Observability(tracer_provider="otlp")  # refused: arg-type
Observability(watchers=[Watcher])  # refused: list-item
Client(interceptors=[trace_calls])  # refused: list-item
Client(interceptors=trace_calls())  # refused: arg-type
trace_calls("otlp")  # refused: arg-type
TestSidecar(app, spans="all")  # refused: arg-type
