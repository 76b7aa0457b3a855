"""Exceptions as failures that travel, and failures as exceptions."""

import traceback

from daprflow.errors import ActivityFailed, NonDeterminismError, WorkflowFailed, WorkflowRuleError
from daprflow.protocol.history import Failure

TERMINATED = "WorkflowTerminated"
_DEEPEST = 8
_LONGEST = 16 * 1024


def failure_of(error: BaseException, depth: int = 0) -> Failure:
    """Return an exception with its causes as a failure."""
    cause: Failure | None = None
    if isinstance(error, ActivityFailed | WorkflowFailed):
        cause = error.failure
    elif error.__cause__ is not None and depth < _DEEPEST:
        cause = failure_of(error.__cause__, depth + 1)
    notes = getattr(error, "__notes__", ())
    return Failure(
        _sendable(type(error).__name__),
        _sendable("\n".join([_said(error), *notes])),
        _sendable(_stack(error)),
        cause,
        isinstance(error, WorkflowRuleError | NonDeterminismError),
    )


def activity_failed(name: str, failure: Failure) -> ActivityFailed:
    """Return what awaiting a failed activity raises."""
    return ActivityFailed(f"activity '{name}' failed: {failure.type}: {failure.message}", failure)


def workflow_failed(name: str, instance: str, failure: Failure | None) -> WorkflowFailed:
    """Return what awaiting a failed workflow raises; without a failure it was terminated."""
    if failure is None:
        failure = Failure(TERMINATED, "it was terminated")
        return WorkflowFailed(f"workflow '{name}' ({instance}) was terminated", failure)
    text = f"workflow '{name}' ({instance}) failed: {failure.type}: {failure.message}"
    return WorkflowFailed(text, failure)


def _stack(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return "".join(traceback.format_list(frames))[-_LONGEST:]


def _said(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as mute:  # noqa: BLE001 - whatever an error's own code raises
        return f"it cannot be told: its text raises '{type(mute).__name__}'"


def _sendable(text: str) -> str:
    """Return a text without lone surrogates, which no message takes."""
    return text.encode(errors="backslashreplace").decode()
