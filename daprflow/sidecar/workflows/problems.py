"""What cannot be done with a workflow, in the words of the real runtime."""

from daprflow.protocol.grpc_codes import Code
from daprflow.sidecar.components.base import ComponentError

NO_INSTANCE = "no such instance exists"
NO_STORE = (
    "the state store is not configured to use the actor runtime. Have you set the - name: "
    'actorStateStore value: "true" in your state store component file?'
)


class WorkflowProblem(Exception):  # noqa: N818 - named for what it is
    """A call about a workflow that fails.

    Attributes:
        code: its status over gRPC.
        alone: the text where nothing stands before it there.
    """

    def __init__(self, text: str, code: Code = Code.UNKNOWN) -> None:
        super().__init__(text)
        self.code = code
        self.alone = text


class NoInstance(WorkflowProblem):
    """There is no such instance."""

    def __init__(self, doing: str = "") -> None:
        super().__init__(f"{doing}{NO_INSTANCE}")


class NoWorker(WorkflowProblem):
    """No worker is connected that could run the instance."""

    def __init__(self, namespace: str, app_id: str, instance_id: str) -> None:
        super().__init__(
            "failed to lookup actor: api error: code = FailedPrecondition desc = did not find "
            f"address for actor 'dapr.internal.{namespace}.{app_id}.workflow/{instance_id}'",
            Code.FAILED_PRECONDITION,
        )


class StoreProblem(WorkflowProblem, ComponentError):  # noqa: N818 - named for what it is
    """What workflows are kept in fails; the text says what and where."""


class NoStore(WorkflowProblem):
    """No state store of the app's may hold workflows."""

    def __init__(self, doing: str = "") -> None:
        super().__init__(f"{doing}api error: code = Internal desc = {NO_STORE}", Code.INTERNAL)
        self.alone = str(self) if doing else NO_STORE
