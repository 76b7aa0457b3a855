"""What cannot be done with a workflow, in the words of the real runtime."""

from daprflow.protocol.grpc_codes import Code

NO_INSTANCE = "no such instance exists"


class WorkflowProblem(Exception):  # noqa: N818 - named for what it is
    """A call about a workflow that fails.

    Attributes:
        code: its status over gRPC.
    """

    def __init__(self, text: str, code: Code = Code.UNKNOWN) -> None:
        super().__init__(text)
        self.code = code


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
