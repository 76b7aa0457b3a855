"""Workflows: the client's methods for them."""

from collections.abc import AsyncIterator, Collection
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, overload
from uuid import uuid4

from daprflow.addresses import Workflow
from daprflow.client.base import BaseClient
from daprflow.client.workflow_calls import WorkflowCalls
from daprflow.client.workflow_runs import WorkflowRun, WorkflowStatus, status_of
from daprflow.errors import NotFound
from daprflow.protocol.workflow_actions import Instance, WorkflowState

In = TypeVar("In")
Out = TypeVar("Out")


class Workflowing(BaseClient):
    """The part of the client that starts workflows and manages their instances."""

    @overload
    async def start(
        self,
        workflow: Workflow[None, Out],
        /,
        *,
        id: str | None = None,
        at: datetime | timedelta | None = None,
        reuse: bool = True,
    ) -> WorkflowRun[Out]: ...
    @overload
    async def start(
        self,
        workflow: Workflow[In, Out],
        data: In,
        /,
        *,
        id: str | None = None,
        at: datetime | timedelta | None = None,
        reuse: bool = True,
    ) -> WorkflowRun[Out]: ...
    async def start(
        self,
        workflow: Workflow[Any, Any],
        data: Any = None,
        /,
        *,
        id: str | None = None,  # noqa: A002 - the name in the architecture
        at: datetime | timedelta | None = None,
        reuse: bool = True,
    ) -> WorkflowRun[Any]:
        """Start a workflow, and return once it runs, or is scheduled.

        Args:
            workflow: what ``@app.workflow`` returned.
            data: its input.
            id: the instance's; by default a new one. Starting twice under one id starts once.
            at: when it begins, or in how long; by default at once.
            reuse: whether the id of an instance that has ended may be used again.

        Raises:
            SidecarError: an instance of that id is there.
            TypeError: the input has no JSON form.
        """
        calls = WorkflowCalls(self._caller)
        text = calls.values.encode(data, f"the input of workflow '{workflow.name}'")
        moment = datetime.now(UTC) + at if isinstance(at, timedelta) else at
        version = "" if getattr(workflow, "is_default", True) else workflow.version
        instance = await calls.start(
            workflow.name, id or uuid4().hex, text, version=version, at=moment, reuse=reuse
        )
        return WorkflowRun(calls, workflow, instance)

    def workflow(self, workflow: Workflow[Any, Out], id: str, /) -> WorkflowRun[Out]:  # noqa: A002 - as in start
        """Return an instance that was started before; no call is made."""
        return WorkflowRun(WorkflowCalls(self._caller), workflow, id)

    async def workflows(
        self,
        workflow: Workflow[Any, Any] | str | None = None,
        /,
        *,
        state: WorkflowState | Collection[WorkflowState] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> AsyncIterator[WorkflowStatus[Any]]:
        """Go through the instances that there are, page by page.

        The runtime lists ids alone, so that each instance costs a call of its own.

        Args:
            workflow: only those of this workflow, by its handle or its name.
            state: only those in this state, or in one of these.
            since: only those that were started then or later.
            until: only those that were started before.

        Raises:
            SidecarError: the store that keeps them cannot list keys.
        """
        calls = WorkflowCalls(self._caller)
        handle = None if isinstance(workflow, str) else workflow
        name = workflow.name if isinstance(workflow, Workflow) else workflow
        states = {state} if isinstance(state, WorkflowState) else set(state or WorkflowState)
        token: str | None = None
        while True:
            page, token = await calls.ids(token)
            for each in page:
                try:
                    found = await calls.get(each)
                except NotFound:
                    continue  # purged meanwhile
                if found.status in states and _fits(found, name, since, until):
                    yield status_of(found, handle, calls.values)
            if token is None:
                return


def _fits(
    instance: Instance, name: str | None, since: datetime | None, until: datetime | None
) -> bool:
    created = instance.created / 1e9
    return (
        (name is None or instance.name == name)
        and (since is None or created >= since.timestamp())
        and (until is None or created < until.timestamp())
    )
