"""The ``workflow`` section of a Configuration document."""

from collections.abc import Mapping
from typing import Any

from daprflow.protocol.configuration_file import (
    NamedLimit,
    WorkflowConfiguration,
    WorkflowRetention,
)
from daprflow.protocol.schedules import ScheduleError, parse_duration
from daprflow.sidecar.resource_fields import (
    DocumentError,
    read_count,
    read_entries,
    read_section,
    read_text,
)
from daprflow.sidecar.resource_yaml import YamlMapping

_RETENTION = ("anyTerminal", "completed", "failed", "terminated")
WORKFLOW_FIELDS: Mapping[str, Any] = {
    "maxConcurrentWorkflowInvocations": {},
    "maxConcurrentActivityInvocations": {},
    "globalMaxConcurrentWorkflowInvocations": {},
    "globalMaxConcurrentActivityInvocations": {},
    "workflowConcurrencyLimits": {"name": {}, "maxConcurrent": {}},
    "activityConcurrencyLimits": {"name": {}, "maxConcurrent": {}},
    "stateRetentionPolicy": {name: {} for name in _RETENTION},
}
"""The fields that are read."""


def read_workflow(whole: YamlMapping) -> WorkflowConfiguration:
    """Read the section.

    Raises:
        DocumentError: a value makes no sense.
    """
    section = read_section(whole, "workflow")
    if section is None:
        return WorkflowConfiguration()
    kept = read_section(section, "stateRetentionPolicy")
    retention = WorkflowRetention()
    if kept is not None:
        retention = WorkflowRetention(*(_seconds(kept, name) for name in _RETENTION))
    return WorkflowConfiguration(
        _limit(section, "WorkflowInvocations"),
        _limit(section, "ActivityInvocations"),
        retention,
        _named_limits(section, "workflowConcurrencyLimits"),
        _named_limits(section, "activityConcurrencyLimits"),
    )


def _limit(section: YamlMapping, what: str) -> int:
    """Return the lower of what one sidecar may do and what all of an app's may; 0 is no limit."""
    own = read_count(section, f"maxConcurrent{what}") or 0
    all_ = read_count(section, f"globalMaxConcurrent{what}") or 0
    return min((limit for limit in (own, all_) if limit > 0), default=0)


def _named_limits(section: YamlMapping, key: str) -> tuple[NamedLimit, ...]:
    limits = []
    for entry in read_entries(section, key):
        name, most = read_text(entry, "name"), read_count(entry, "maxConcurrent") or 0
        if name and most > 0:
            limits.append(NamedLimit(name, most))
    return tuple(limits)


def _seconds(parent: YamlMapping, key: str) -> float | None:
    """Return a duration, which may be nothing at all: then it is forgotten at once."""
    text = read_text(parent, key)
    if not text:
        return None
    try:
        return max(parse_duration(text).total_seconds(), 0.0)
    except ScheduleError as error:
        raise DocumentError(f"{parent.place(key)}: '{key}': {error}") from error
