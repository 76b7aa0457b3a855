"""Workflows: the client's methods for them."""

from collections.abc import AsyncIterator, Collection
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar, overload
from uuid import uuid4

from daprflow.addresses import Workflow
from daprflow.client.base import BaseClient
from daprflow.errors import SidecarError

# Most apps have no workflows; importing daprflow does not pay for them.
if TYPE_CHECKING:
    from daprflow.client.workflow_runs import WorkflowRun, WorkflowStatus
    from daprflow.protocol.workflow_actions import WorkflowState

In = TypeVar("In")
Out = TypeVar("Out")
_CONFLICT = 409


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
        attach: bool = False,
    ) -> "WorkflowRun[Out]": ...
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
        attach: bool = False,
    ) -> "WorkflowRun[Out]": ...
    async def start(
        self,
        workflow: Workflow[Any, Any],
        data: Any = None,
        /,
        *,
        id: str | None = None,  # noqa: A002 - the name in the architecture
        at: datetime | timedelta | None = None,
        reuse: bool = True,
        attach: bool = False,
    ) -> "WorkflowRun[Any]":
        """Start a workflow, and return once it runs, or is scheduled.

        Args:
            workflow: what ``@app.workflow`` returned.
            data: its input.
            id: the instance's; by default a new one.
            at: when it begins, or in how long; by default at once. A point without a zone is UTC.
            reuse: whether the id of an instance that has ended may be used again.
            attach: start nothing where an instance has that id, ended or not, and return that one:
                for events that may be delivered twice.

        Raises:
            SidecarError: an instance of that id is there; its status is 409.
            ValueError: it is a version that begins no new instances.
            TypeError: the input has no JSON form.

        Example:
            ```python
            run = await client.start(checkout, Order("7"), id="o7", attach=True)
            print(await run.result())
            ```
        """
        from daprflow.client.workflow_calls import WorkflowCalls  # noqa: PLC0415 - see above
        from daprflow.client.workflow_runs import WorkflowRun  # noqa: PLC0415 - see above
        from daprflow.workflows.values import refuse_replaced  # noqa: PLC0415 - see above

        calls = WorkflowCalls(self._caller)
        text = calls.values.encode(data, f"the input of workflow '{workflow.name}'")
        if isinstance(at, timedelta):
            at = datetime.fromtimestamp(self._caller.way.now(), UTC) + at
        refuse_replaced(workflow)
        instance, fresh = id or uuid4().hex, reuse and not attach
        try:
            instance = await calls.start(workflow.name, instance, text, at=at, reuse=fresh)
        except SidecarError as error:
            if not attach or error.status != _CONFLICT:
                raise
        return WorkflowRun(calls, workflow, instance, begun=True)

    def workflow(self, workflow: Workflow[Any, Out], id: str, /) -> "WorkflowRun[Out]":  # noqa: A002 - as in start
        """Return an instance that was started before; no call is made.

        Args:
            workflow: what ``@app.workflow`` returned; it says what the result is.
            id: the instance's.

        Example:
            ```python
            run = client.workflow(checkout, "o7")
            print((await run.status()).state)
            ```
        """
        from daprflow.client.workflow_calls import WorkflowCalls  # noqa: PLC0415 - see above
        from daprflow.client.workflow_runs import WorkflowRun  # noqa: PLC0415 - see above

        return WorkflowRun(WorkflowCalls(self._caller), workflow, id)

    @overload
    def workflows(
        self,
        workflow: Workflow[Any, Out],
        /,
        *,
        state: "WorkflowState | Collection[WorkflowState] | None" = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> "AsyncIterator[WorkflowStatus[Out]]": ...
    @overload
    def workflows(
        self,
        workflow: str | None = None,
        /,
        *,
        state: "WorkflowState | Collection[WorkflowState] | None" = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> "AsyncIterator[WorkflowStatus[Any]]": ...
    async def workflows(
        self,
        workflow: Workflow[Any, Any] | str | None = None,
        /,
        *,
        state: "WorkflowState | Collection[WorkflowState] | None" = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> "AsyncIterator[WorkflowStatus[Any]]":
        """Go through the instances that there are, page by page.

        The runtime lists ids alone, so that each instance costs a call of its own.

        Args:
            workflow: only those of this workflow, by its handle or its name.
            state: only those in this state, or in one of these.
            since: only those that were started then or later; without a zone it is UTC.
            until: only those that were started before.

        Yields:
            the status of each instance.

        Raises:
            SidecarError: the store that keeps them cannot list keys.

        Example:
            ```python
            async for status in client.workflows(checkout, state=WorkflowState.RUNNING):
                print(status.id, status.created)
            ```
        """
        from daprflow.client.workflow_calls import WorkflowCalls  # noqa: PLC0415 - see above
        from daprflow.client.workflow_listing import Wanted, instances  # noqa: PLC0415 - see above
        from daprflow.client.workflow_runs import status_of  # noqa: PLC0415 - see above
        from daprflow.protocol.workflow_actions import WorkflowState  # noqa: PLC0415 - see above

        calls = WorkflowCalls(self._caller)
        handle = None if isinstance(workflow, str) else workflow
        name = workflow.name if isinstance(workflow, Workflow) else workflow
        states = {state} if isinstance(state, WorkflowState) else set(state or WorkflowState)
        wanted = Wanted(name, states, since, until)
        async with aclosing(instances(calls, wanted)) as found:
            async for each in found:
                yield status_of(each, handle, calls.values)
