"""How an app and its sidecar are: settings, reports, and what is told when that changes."""

from daprflow.health.options import HealthSettings
from daprflow.health.report import HealthChange, HealthReport, HealthStatus, PartHealth

__all__ = ["HealthChange", "HealthReport", "HealthSettings", "HealthStatus", "PartHealth"]
