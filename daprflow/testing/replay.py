"""Recorded histories as tests: whether a workflow's code still does what it did."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from daprflow.errors import NonDeterminismError
from daprflow.handlers.codecs import NO_CODECS, Codecs
from daprflow.handlers.own_workflows import OwnWorkflow
from daprflow.protocol.history import ExecutionCompleted, HistoryEvent, decode_history
from daprflow.protocol.workflow_actions import WorkflowState
from daprflow.workflows.plan import WorkflowPlan, Workflows, WorkflowVersions
from daprflow.workflows.replay import Replay, Rules
from daprflow.workflows.values import Values
from daprflow.workflows.watching import CallGuard

History = Sequence[HistoryEvent] | bytes | str | Path
"""Events as ``run.history()`` gives them, or a file that was made of them (or its content)."""


def replay(
    workflow: OwnWorkflow[Any, Any], history: History, /, *, codecs: Codecs = NO_CODECS
) -> None:
    """Go through a recorded history with a workflow's code as it is now.

    No sidecar and no activity is needed: every result comes from the history. Use it in tests with
    the histories of instances that a new version of the code must still be able to finish.

    Args:
        workflow: what ``@app.workflow`` returned.
        history: the events, or the file that ``daprflow workflow history ID -o FILE`` wrote.
        codecs: those of the app.

    Raises:
        NonDeterminismError: the code does not do what the history says it did; the text names the
            step and the line.
        WorkflowRuleError: the code uses what is not durable.
        msgspec.ValidationError: the file holds no history.
    """
    events = _events(history)
    plan = _plan(workflow, Values(codecs))
    versions = WorkflowVersions(plan, {plan.version: plan})
    workflows = Workflows({plan.name: versions}, Values(codecs))
    code = Replay(workflows, _instance(events), Rules(CallGuard(), inputs=True))
    try:
        code.turn([each for each in events if not isinstance(each, ExecutionCompleted)], ())
        violation = code.execution.runner.violation
        if problem := violation or code.problem:
            raise problem
        ended = next((each for each in events if isinstance(each, ExecutionCompleted)), None)
        if ended is not None:
            _compare(code, ended, plan.title)
    finally:
        code.close()


def _compare(code: Replay, ended: ExecutionCompleted, title: str) -> None:
    done = code.execution.ended
    was = WorkflowState(ended.status).name
    if done is None:
        waits = ", ".join(code.waits_for) or "nothing"
        raise NonDeterminismError(
            f"{title}: its history ended as {was}; this code has not ended and waits for {waits}"
        )
    if int(done.status) != ended.status:
        raise NonDeterminismError(
            f"{title}: its history ended as {was}; this code ends as {done.status.name}"
        )
    if _value(done.result) != _value(ended.result):
        raise NonDeterminismError(f"{title}: its history ended with another result than this code")


def _value(text: str | None) -> Any:
    return msgspec.json.decode(text) if text else None


def _plan(workflow: OwnWorkflow[Any, Any], values: Values) -> WorkflowPlan:
    takes: Any = workflow.takes
    return WorkflowPlan(
        workflow.name,
        f"workflow '{workflow.name}'",
        workflow.__wrapped__,
        values.decoder(takes, f"the input of workflow '{workflow.name}'"),
        takes is not type(None),
        workflow.version,
    )


def _events(history: History) -> Sequence[HistoryEvent]:
    if isinstance(history, str | Path):
        history = Path(history).read_bytes()
    return decode_history(history) if isinstance(history, bytes) else history


def _instance(events: Sequence[HistoryEvent]) -> str:
    return next((found for each in events if (found := getattr(each, "instance", ""))), "replayed")
