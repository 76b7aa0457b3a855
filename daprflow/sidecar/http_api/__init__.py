"""Dapr's HTTP API in front of a runtime."""

from daprflow.sidecar.http_api.app import HttpApi

__all__ = ["HttpApi"]
