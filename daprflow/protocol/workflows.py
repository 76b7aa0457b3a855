"""What Dapr's own API tells of a workflow, and what it takes to start one."""

from collections.abc import Mapping

import msgspec

LONGEST_ID = 64
"""Characters, counted as bytes of UTF-8, that the id of an instance may have."""
START_TIME = "dapr.workflow.start_time"


class StartedWorkflow(msgspec.Struct, frozen=True):
    """The answer to a start."""

    instance_id: str = msgspec.field(name="instanceID")


class WorkflowStatus(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The state of an instance; times are RFC 3339."""

    instance_id: str = msgspec.field(name="instanceID")
    workflow_name: str = ""
    created_at: str = ""
    last_updated_at: str = ""
    runtime_status: str = ""
    properties: Mapping[str, str] = {}
