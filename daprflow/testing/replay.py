"""Recorded histories as tests: whether a workflow's code still does what it did."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from daprflow.errors import NonDeterminismError
from daprflow.handlers.codecs import NO_CODECS, Codecs
from daprflow.handlers.own_workflows import OwnWorkflow
from daprflow.protocol.history import (
    ChildCreated,
    ExecutionCompleted,
    ExecutionStarted,
    HistoryEvent,
    TaskScheduled,
    TimerCreated,
    WorkflowStarted,
    decode_history,
)
from daprflow.protocol.workflow_actions import WorkflowState
from daprflow.workflows.plan import WorkflowPlan, Workflows, WorkflowVersions
from daprflow.workflows.replay import Replay, Rules
from daprflow.workflows.values import Values
from daprflow.workflows.watching import CallGuard

_STEPS = TaskScheduled, ChildCreated, TimerCreated

History = Sequence[HistoryEvent] | bytes | str | Path
"""Events as ``run.history()`` gives them, or a file that was made of them (or its content)."""


def replay(
    workflow: OwnWorkflow[Any, Any], history: History, /, *, codecs: Codecs = NO_CODECS
) -> None:
    """Go through a recorded history with a workflow's code as it is now.

    No sidecar and no activity is needed: every result comes from the history. Use it in tests with
    the histories of instances that a new version of the code must still be able to finish; those
    instances may have ended, or still run.

    Args:
        workflow: what ``@app.workflow`` returned.
        history: the events, or the file that ``daprflow workflow history ID -o FILE`` wrote, of an
            embedded sidecar or of a real runtime.
        codecs: those of the app.

    Raises:
        NonDeterminismError: the code does not do what the history says it did; the text names the
            first step that differs, and the line.
        WorkflowRuleError: the code uses what is not durable.
        ValueError: the file holds no history, or that of another workflow or version.
        OSError: the file cannot be read.

    Example:
        ```python
        history = await client.workflow(checkout, "o7").history()
        replay(checkout, history)  # NonDeterminismError names the step that differs
        ```
    """
    events = _events(history)
    title = workflow.registration.title
    begun = _begun(events, workflow, title)
    values = Values(codecs, lambda handle: _of_one_app(handle, workflow))
    plan = _plan(workflow, title, values)
    versions = WorkflowVersions(plan, {plan.version: plan})
    workflows = Workflows({plan.name: versions}, values)
    rules = Rules(CallGuard(), inputs=True)
    rerun = any(isinstance(each, _STEPS) and each.rerun for each in events)
    code = Replay(workflows, begun.instance or "replayed", rules, rerun=rerun)
    try:
        code.turn([each for each in events if not isinstance(each, ExecutionCompleted)], ())
        if problem := code.execution.runner.violation or code.problem:
            raise problem
        ended = next((each for each in events if isinstance(each, ExecutionCompleted)), None)
        if ended is not None:
            _compare(code, ended, title)
        else:
            _compare_open(code, title)
    finally:
        code.close()


def _compare(code: Replay, ended: ExecutionCompleted, title: str) -> None:
    """Refuse code that ends differently from a history that has ended."""
    code.check_end()
    done = code.execution.ended
    was = WorkflowState(ended.status).name
    if done is None:
        waits = ", ".join(code.waits_for) or "nothing"
        raise NonDeterminismError(
            f"{title}: its history ended as {was}; this code has not ended and waits for {waits}"
        )
    if int(done.status) != ended.status:
        why = f", with {done.failure.type}: {done.failure.message}" if done.failure else ""
        raise NonDeterminismError(
            f"{title}: its history ended as {was}; this code ends as {done.status.name}{why}"
        )
    if _value(done.result) != _value(ended.result):
        raise NonDeterminismError(f"{title}: its history ended with another result than this code")
    if ended.failure and done.failure and ended.failure.type != done.failure.type:
        raise NonDeterminismError(
            f"{title}: its history failed with {ended.failure.type}; this code fails with "
            f"{done.failure.type}: {done.failure.message}"
        )


def _compare_open(code: Replay, title: str) -> None:
    """Refuse code that asks for more than a history that goes on, or has ended already."""
    code.check_end()
    done = code.execution.ended
    if done is not None and done.status is not WorkflowState.TERMINATED:
        why = f", with {done.failure.type}: {done.failure.message}" if done.failure else ""
        raise NonDeterminismError(
            f"{title}: its history has not ended; this code ends there as {done.status.name}{why}"
        )


def _of_one_app(handle: Any, workflow: OwnWorkflow[Any, Any]) -> bool:
    """Whether a handle is of the app that declares the workflow, whatever that was known as."""
    return hasattr(handle, "registration") and handle.app_id == workflow.app_id


def _value(text: str | None) -> Any:
    return msgspec.json.decode(text) if text else None


def _plan(workflow: OwnWorkflow[Any, Any], title: str, values: Values) -> WorkflowPlan:
    takes: Any = workflow.takes
    return WorkflowPlan(
        workflow.name,
        title,
        workflow.__wrapped__,
        values.decoder(takes, f"the input of workflow '{workflow.name}'"),
        takes is not type(None),
        workflow.version,
    )


def _events(history: History) -> Sequence[HistoryEvent]:
    if isinstance(history, bytes):
        return decode_history(history)
    if not isinstance(history, str | Path):
        return history
    try:
        return decode_history(Path(history).read_bytes())
    except ValueError as error:
        raise ValueError(
            f"'{history}' cannot be replayed: {error}; write such a file with "
            "'daprflow workflow history ID -o FILE'"
        ) from None


def _begun(
    events: Sequence[HistoryEvent], workflow: OwnWorkflow[Any, Any], title: str
) -> ExecutionStarted:
    """Return how the history begins, which must be this workflow's.

    Raises:
        ValueError: it is not.
    """
    begun = next((each for each in events if isinstance(each, ExecutionStarted)), None)
    if begun is None:
        raise ValueError(f"{title} cannot be replayed: the history has no beginning")
    if begun.name != workflow.name:
        raise ValueError(f"{title} cannot be replayed: the history is of workflow '{begun.name}'")
    turns = (each.version for each in events if isinstance(each, WorkflowStarted))
    ran = next((version for version in turns if version), begun.version)
    if ran and ran != workflow.version:
        mine = f"version '{workflow.version}'" if workflow.version else "no named version"
        raise ValueError(
            f"{title} cannot be replayed: the history is of version '{ran}', and this is {mine}"
        )
    return begun
