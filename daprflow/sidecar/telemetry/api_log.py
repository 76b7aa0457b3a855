"""A line of the log for each call on the APIs of a sidecar (``spec.logging.apiLogging``)."""

import logging

from daprflow.protocol.configuration_file import ApiLogging
from daprflow.sidecar.telemetry.path_labels import general

logger = logging.getLogger(__name__)

_CONTROL = dict.fromkeys((*range(32), 127), "?")


class ApiLog:
    """Writes the lines; neither queries nor bodies are in them.

    Args:
        spec: of the configuration.
    """

    __slots__ = ("_spec",)

    def __init__(self, spec: ApiLogging) -> None:
        self._spec = spec

    def http(self, method: str, path: str, status: int, milliseconds: float) -> None:
        """Write down a call on the HTTP API."""
        if self._spec.omit_health_checks and "/healthz" in path:
            return
        shown = general(path) if self._spec.obfuscate_urls else path
        text = "HTTP API Called: %s %s answered %d in %.1f ms"
        logger.info(text, method, shown.translate(_CONTROL), status, milliseconds)

    def grpc(self, method: str, status: str, milliseconds: float) -> None:
        """Write down a call on the gRPC API."""
        text = "gRPC API Called: %s answered %s in %.1f ms"
        logger.info(text, method.translate(_CONTROL), status, milliseconds)
