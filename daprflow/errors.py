"""The error tree: everything daprflow raises on purpose.

DaprFlowError
├── AppDefinitionError        the app is written wrongly; every problem at once
├── MissingExtra              an optional package is needed; carries the pip line
├── LockTaken                 somebody else has the lock
├── LockLost                  a lock ended before the work under it did
├── WorkflowError
│   ├── ActivityFailed        an activity that a workflow called failed, retries included
│   ├── WorkflowFailed        a workflow, or a child workflow, ended without a result
│   ├── WorkflowRuleError     a workflow used what is not durable
│   └── NonDeterminismError   a workflow's code does not do what its history says it did
└── SidecarError              a sidecar answered a call with an error
    ├── SidecarUnavailable    no sidecar answered at all
    ├── NotFound
    │   └── SecretNotFound
    ├── EtagMismatch          somebody else wrote first
    ├── BulkPublishError      some of many events were not published
    ├── BulkStateError        some of many keys were not written
    ├── InvocationError       another app answered with an error status
    └── ActorError            an actor's method failed, or could not be called

Control flow, raised by handlers: Retry, Drop, StopReminder.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from daprflow.protocol.details import Detail, ErrorInfo

if TYPE_CHECKING:
    from daprflow.protocol.history import Failure

__all__ = [
    "ActivityFailed",
    "ActorError",
    "AppDefinitionError",
    "BulkPublishError",
    "BulkStateError",
    "DaprFlowError",
    "Drop",
    "EtagMismatch",
    "InvocationError",
    "LockLost",
    "LockTaken",
    "MissingExtra",
    "NonDeterminismError",
    "NotFound",
    "Retry",
    "SecretNotFound",
    "SidecarError",
    "SidecarUnavailable",
    "StopReminder",
    "WorkflowError",
    "WorkflowFailed",
    "WorkflowRuleError",
]


class DaprFlowError(Exception):
    """Base of every error that daprflow raises on purpose."""


class AppDefinitionError(DaprFlowError):
    """An app is defined wrongly.

    Attributes:
        problems: one sentence each, with the handler's name and its ``module:line``.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        head = "1 problem" if count == 1 else f"{count} problems"
        super().__init__(
            f"{head} in the app's definition:\n" + "\n".join(f"- {p}" for p in problems)
        )


class MissingExtra(DaprFlowError):  # noqa: N818 - the name states what is missing, as in ImportError
    """A feature needs a package that an extra of daprflow installs."""

    def __init__(self, feature: str, extra: str) -> None:
        self.feature = feature
        self.extra = extra
        super().__init__(
            f"{feature} needs an optional package; install it with: pip install 'daprflow[{extra}]'"
        )


class LockTaken(DaprFlowError):  # noqa: N818 - named for the state
    """Somebody else has the lock, and still had it when there was no more time to wait."""


class LockLost(DaprFlowError):  # noqa: N818 - named for what happened
    """A lock ended before the work under it did; somebody else may have it now."""


class WorkflowError(DaprFlowError):
    """Base of every error of workflows."""


class _EndedError(WorkflowError):
    """Something that a workflow waited for failed."""

    def __init__(self, text: str, failure: "Failure") -> None:
        self.failure = failure
        super().__init__(text)

    @property
    def type(self) -> str:
        """The class of the exception, by name."""
        return self.failure.type

    @property
    def message(self) -> str:
        """The text of the exception."""
        return self.failure.message

    @property
    def stack(self) -> str:
        """Where it was raised, as text; empty where nobody said."""
        return self.failure.stack

    @property
    def cause(self) -> "Failure | None":
        """What it was raised from; None where nobody said."""
        return self.failure.cause


class ActivityFailed(_EndedError):  # noqa: N818 - named for what happened, as WorkflowFailed is
    """An activity that a workflow called failed, and no retry was left.

    Attributes:
        failure: the exception's type and text, its stack and its cause.
    """


class WorkflowFailed(_EndedError):  # noqa: N818 - named for what happened, as architecture §2 has it
    """A workflow, or a child workflow, failed or was terminated.

    Attributes:
        failure: the exception's type and text, its stack and its cause; the type is
            ``WorkflowTerminated`` where somebody ended it.
    """


class WorkflowRuleError(WorkflowError):
    """A workflow used what is not durable: the clock, a network, a task of the event loop, ….

    Its text names what to use in its place.
    """


class NonDeterminismError(WorkflowError):
    """A workflow's code does not do what its history says it did.

    It was changed, or reads what differs from run to run. The text names the step and the line.
    """


class SidecarError(DaprFlowError):
    """A sidecar answered a call with an error.

    Attributes:
        code: Dapr's error code, such as ``ERR_STATE_GET``; empty where none was given.
        status: the HTTP status; 0 where no answer came.
        details: the rich error details: `ErrorInfo`, `ResourceInfo`, `BadRequest`, `Help`, or
            `OtherDetail` with its JSON; empty where none were given.
        hint: what to do about it; empty where that is not known. The error's text ends with it.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        status: int = 0,
        details: tuple[Detail, ...] = (),
        hint: str = "",
    ) -> None:
        self.code = code
        self.status = status
        self.details = details
        self.hint = hint
        super().__init__(f"{message}; {hint}" if hint else message)

    @property
    def reason(self) -> str:
        """Dapr's newer name of the error, such as ``DAPR_STATE_NOT_FOUND``; empty without one."""
        return next((each.reason for each in self.details if isinstance(each, ErrorInfo)), "")


class SidecarUnavailable(SidecarError):  # noqa: N818 - named for the state, as architecture §2 fixes
    """No sidecar answered: it is not started, not ready, or went away."""


class NotFound(SidecarError):  # noqa: N818 - named for the state
    """What was asked for does not exist."""


class SecretNotFound(NotFound):
    """The secret store has no such secret."""


class EtagMismatch(SidecarError):  # noqa: N818 - named for the state
    """The value was changed by somebody else since its ETag was read."""


class BulkPublishError(SidecarError):
    """Some of many events were not published; the others were.

    Attributes:
        failed: why, by the position of each event that was not published.
    """

    def __init__(
        self, message: str, failed: Mapping[int, str], *, code: str = "", status: int = 0
    ) -> None:
        self.failed = dict(failed)
        super().__init__(message, code=code, status=status)


class BulkStateError(SidecarError):
    """Some of many keys were not written or deleted; the others were.

    Attributes:
        failed: the error of each key that was not, an `EtagMismatch` for instance.
    """

    def __init__(self, message: str, failed: Mapping[str, SidecarError]) -> None:
        self.failed = dict(failed)
        first = next(iter(self.failed.values()))
        super().__init__(message, code=first.code, status=first.status, details=first.details)


class InvocationError(SidecarError):
    """Another app answered a service invocation with an error status.

    Attributes:
        body: what that app answered, unchanged.
    """

    def __init__(
        self, message: str, *, status: int = 0, body: bytes = b"", code: str = "", hint: str = ""
    ) -> None:
        self.body = body
        super().__init__(message, code=code, status=status, hint=hint)


class ActorError(SidecarError):
    """An actor's method failed, or could not be called.

    Attributes:
        type: the class of the exception that the method raised, by name; empty where the call did
            not get there, which ``code`` explains then.
        message: the text of that exception.
        body: what was answered, unchanged; other SDKs' actors have errors of their own form.
    """

    def __init__(
        self,
        text: str,
        *,
        type: str = "",  # noqa: A002 - the attribute's name
        message: str = "",
        body: bytes = b"",
        status: int = 0,
        code: str = "",
        hint: str = "",
    ) -> None:
        self.type = type
        self.message = message
        self.body = body
        super().__init__(text, status=status, code=code, hint=hint)


class Retry(Exception):  # noqa: N818 - control flow, not an error
    """Raise it in a topic handler to have the event delivered again."""


class Drop(Exception):  # noqa: N818 - control flow, not an error
    """Raise it in a topic handler to give the event up; its dead letter topic gets it, if any."""


class StopReminder(Exception):  # noqa: N818 - control flow, not an error
    """Raise it in the tick of a reminder or a timer to make it the last; the turn is saved."""
