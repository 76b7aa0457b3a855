"""The ``workflow`` section of a Configuration document."""

from collections.abc import Mapping
from typing import Any

from daprflow.protocol.configuration_file import WorkflowRetention, WorkflowSettings
from daprflow.protocol.schedules import ScheduleError, parse_duration
from daprflow.sidecar.resource_fields import DocumentError, read_count, read_section, read_text
from daprflow.sidecar.resource_yaml import YamlMapping

_RETENTION = ("anyTerminal", "completed", "failed", "terminated")
WORKFLOW_FIELDS: Mapping[str, Any] = {
    "maxConcurrentWorkflowInvocations": {},
    "maxConcurrentActivityInvocations": {},
    "stateRetentionPolicy": {name: {} for name in _RETENTION},
}
"""The fields that are read; limits by name, and those over several sidecars, are not."""


def read_workflow(whole: YamlMapping) -> WorkflowSettings:
    """Read the section.

    Raises:
        DocumentError: a value makes no sense.
    """
    section = read_section(whole, "workflow")
    if section is None:
        return WorkflowSettings()
    kept = read_section(section, "stateRetentionPolicy")
    retention = WorkflowRetention()
    if kept is not None:
        retention = WorkflowRetention(*(_seconds(kept, name) for name in _RETENTION))
    return WorkflowSettings(
        max(read_count(section, "maxConcurrentWorkflowInvocations") or 0, 0),
        max(read_count(section, "maxConcurrentActivityInvocations") or 0, 0),
        retention,
    )


def _seconds(parent: YamlMapping, key: str) -> float | None:
    """Return a duration, which may be nothing at all: then it is forgotten at once."""
    text = read_text(parent, key)
    if not text:
        return None
    try:
        return max(parse_duration(text).total_seconds(), 0.0)
    except ScheduleError as error:
        raise DocumentError(f"{parent.place(key)}: '{key}': {error}") from error
