"""The correlation id of the request that is being handled."""

from contextvars import ContextVar

CORRELATION_ID: ContextVar[str] = ContextVar("daprflow_correlation_id", default="")
"""Bound by `daprflow.middleware.Correlation`; empty outside of a request."""


def correlation_id() -> str:
    """Return the correlation id of the request that is being handled; empty where there is none."""
    return CORRELATION_ID.get()
