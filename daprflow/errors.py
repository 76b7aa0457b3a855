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
    """Base of every error that daprflow raises on purpose.

    Example:
        ```python
        try:
            await client.publish(orders, Order("7"))
        except DaprFlowError as error:
            print("not published:", error)
        ```
    """


class AppDefinitionError(DaprFlowError):
    """An app is defined wrongly.

    Attributes:
        problems: one sentence each, with the handler's name and its ``module:line``.

    Example:
        ```python
        try:
            app.freeze()
        except AppDefinitionError as error:
            for problem in error.problems:
                print(problem)
        ```
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems: tuple[str, ...] = tuple(problems)
        count = len(self.problems)
        head = "1 problem" if count == 1 else f"{count} problems"
        super().__init__(
            f"{head} in the app's definition:\n" + "\n".join(f"- {p}" for p in problems)
        )


class MissingExtra(DaprFlowError):  # noqa: N818 - the name states what is missing, as in ImportError
    """A feature needs a package that an extra of daprflow installs.

    Example:
        ```python
        try:
            await client.invoke(price, Order("7"))
        except MissingExtra as error:
            print("pip install", f"'daprflow[{error.extra}]'")
        ```
    """

    def __init__(self, feature: str, extra: str) -> None:
        self.feature = feature
        self.extra = extra
        super().__init__(
            f"{feature} needs an optional package; install it with: pip install 'daprflow[{extra}]'"
        )


class LockTaken(DaprFlowError):  # noqa: N818 - named for the state
    """Somebody else has the lock, and still had it when there was no more time to wait.

    Example:
        ```python
        try:
            async with client.lock("lockstore", "invoice-7"):
                ...
        except LockTaken:
            print("somebody else does it")
        ```
    """


class LockLost(DaprFlowError):  # noqa: N818 - named for what happened
    """A lock ended before the work under it did; somebody else may have it now.

    Example:
        ```python
        try:
            async with client.lock("lockstore", "invoice-7", renew=True):
                ...
        except LockLost:
            print("somebody else may have begun")
        ```
    """


class WorkflowError(DaprFlowError):
    """Base of every error of workflows.

    Example:
        ```python
        try:
            await client.workflow(checkout, "o7").result()
        except WorkflowError as error:
            print("no result:", error)
        ```
    """


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

    Example:
        ```python
        async def flow(ctx: WorkflowContext, order: Order) -> str:
            try:
                await ctx.call(charge, order)
            except ActivityFailed as error:
                return f"not paid: {error.type}: {error.message}"
            return "paid"
        ```
    """


class WorkflowFailed(_EndedError):  # noqa: N818 - named for what happened, as architecture §2 has it
    """A workflow, or a child workflow, failed or was terminated.

    Attributes:
        failure: the exception's type and text, its stack and its cause; the type is
            ``WorkflowTerminated`` where somebody ended it.

    Example:
        ```python
        try:
            await client.workflow(checkout, "o7").result()
        except WorkflowFailed as error:
            print(error.type, error.message)
        ```
    """


class WorkflowRuleError(WorkflowError):
    """A workflow used what is not durable: the clock, a network, a task of the event loop, ….

    Its text names what to use in its place.

    Example:
        ```python
        async def flow(ctx: WorkflowContext, order: Order) -> None:
            await ctx.sleep(timedelta(hours=1))  # asyncio.sleep would raise this
        ```
    """


class NonDeterminismError(WorkflowError):
    """A workflow's code does not do what its history says it did.

    It was changed, or reads what differs from run to run. The text names the step and the line.

    Example:
        ```python
        async def flow(ctx: WorkflowContext, order: Order) -> Receipt:
            if ctx.patched("limit-first"):  # instances that began without it stay without it
                await ctx.sleep(timedelta(minutes=1))
            return await ctx.call(charge, order)
        ```
    """


class SidecarError(DaprFlowError):
    """A sidecar answered a call with an error.

    Attributes:
        code: Dapr's error code, such as ``ERR_STATE_GET``; empty where none was given.
        status: the HTTP status; 0 where no answer came.
        details: the rich error details: `ErrorInfo`, `ResourceInfo`, `BadRequest`, `Help`, or
            `OtherDetail` with its JSON; empty where none were given.
        hint: what to do about it; empty where that is not known. The error's text ends with it.

    Example:
        ```python
        try:
            await client.publish(orders, Order("7"))
        except SidecarError as error:
            print(error.status, error.code, error.reason, error.hint)
        ```
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
    """No sidecar answered: it is not started, not ready, or went away.

    Example:
        ```python
        try:
            await client.publish(orders, Order("7"))
        except SidecarUnavailable:
            print("is 'daprflow run' under way?")
        ```
    """


class NotFound(SidecarError):  # noqa: N818 - named for the state
    """What was asked for does not exist.

    Example:
        ```python
        try:
            await client.workflow(checkout, "o7").status()
        except NotFound:
            print("there is no such instance")
        ```
    """


class SecretNotFound(NotFound):
    """The secret store has no such secret.

    Example:
        ```python
        try:
            dsn = await client.secret("vault", "dsn")
        except SecretNotFound:
            dsn = "shop.db"
        ```
    """


class EtagMismatch(SidecarError):  # noqa: N818 - named for the state
    """The value was changed by somebody else since its ETag was read.

    Example:
        ```python
        store = client.state("statestore")
        try:
            await store.set("cart:ann", Cart(), etag="3")
        except EtagMismatch:
            print("somebody else was first")
        ```
    """


class BulkPublishError(SidecarError):
    """Some of many events were not published; the others were.

    Attributes:
        failed: why, by the position of each event that was not published.

    Example:
        ```python
        batch = [Order("7"), Order("8")]
        try:
            await client.publish_many(orders, batch)
        except BulkPublishError as error:
            await client.publish_many(orders, [batch[position] for position in error.failed])
        ```
    """

    def __init__(
        self, message: str, failed: Mapping[int, str], *, code: str = "", status: int = 0
    ) -> None:
        self.failed: dict[int, str] = dict(failed)
        super().__init__(message, code=code, status=status)


class BulkStateError(SidecarError):
    """Some of many keys were not written or deleted; the others were.

    Attributes:
        failed: the error of each key that was not, an `EtagMismatch` for instance.

    Example:
        ```python
        try:
            await client.state("statestore").set_many({"a": 1, "b": 2})
        except BulkStateError as error:
            print("not written:", sorted(error.failed))
        ```
    """

    def __init__(self, message: str, failed: Mapping[str, SidecarError]) -> None:
        self.failed: dict[str, SidecarError] = dict(failed)
        first = next(iter(self.failed.values()))
        super().__init__(message, code=first.code, status=first.status, details=first.details)


class InvocationError(SidecarError):
    """Another app answered a service invocation with an error status.

    Attributes:
        body: what that app answered, unchanged.

    Example:
        ```python
        try:
            await client.invoke(price, Order("7"))
        except InvocationError as error:
            print(error.status, error.body)
        ```
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

    Example:
        ```python
        try:
            await client.actor(CartActor, "ann").add("tea")
        except ActorError as error:
            print(error.type, error.message, error.code)
        ```
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
    """Raise it in a topic handler to have the event delivered again.

    Example:
        ```python
        @app.topic(orders)
        async def on_order(order: Order) -> None:
            if not await client.healthy():
                raise Retry("not now")
        ```
    """


class Drop(Exception):  # noqa: N818 - control flow, not an error
    """Raise it in a topic handler to give the event up; its dead letter topic gets it, if any.

    Example:
        ```python
        @app.topic(orders, dead_letter="orders-dead")
        async def on_order(order: Order) -> None:
            if order.total < 0:
                raise Drop("negative total")
        ```
    """


class StopReminder(Exception):  # noqa: N818 - control flow, not an error
    """Raise it in the tick of a reminder or a timer to make it the last; the turn is saved.

    Example:
        ```python
        class Basket(Actor[Cart]):
            async def look(self) -> None:
                if not self.state.items:
                    raise StopReminder
        ```
    """
