"""Declaring workflows and activities: what freezes, and what is told when it does not."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from daprflow import AppDefinitionError, DaprFlow, Query, RetryPolicy, Router, WorkflowContext
from daprflow.protocol.history import Failure


class Foreign:
    """A class that no JSON becomes."""


def problems(app: DaprFlow) -> str:
    """What freezing an app complains about."""
    with pytest.raises(AppDefinitionError) as caught:
        app.freeze()
    return str(caught.value)


def test_handles_have_names_types_and_apps() -> None:
    """A handle has the function's name and types, and belongs to the app that includes it."""
    router = Router()

    @router.activity
    async def charge(amount: int) -> str:
        return str(amount)

    @router.workflow(name="other")
    async def checkout(ctx: WorkflowContext) -> None:
        """Do nothing."""

    assert charge.app_id == ""
    app = DaprFlow("shop")
    app.include(router)
    app.freeze()
    assert (charge.name, charge.takes, charge.returns, charge.app_id) == (
        "charge",
        int,
        str,
        "shop",
    )
    assert (checkout.name, checkout.takes, checkout.returns) == ("other", type(None), type(None))
    assert set(app.work().activities) == {"charge"}


def test_a_workflow_is_a_coroutine_function_of_its_context() -> None:
    """What is no 'async def', or takes more than context and input, is told."""
    app = DaprFlow("shop")

    def plain(_: WorkflowContext) -> None:
        """Do nothing."""

    async def injected(_: WorkflowContext, amount: int, *, client: str) -> None:
        """Do nothing."""

    async def many(_: WorkflowContext, one: int, two: int) -> None:
        """Do nothing."""

    async def untyped(_: WorkflowContext, amount) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
        """Do nothing."""

    async def foreign(_: WorkflowContext, amount: Foreign) -> None:
        """Do nothing."""

    def generates(_: WorkflowContext) -> "Any":
        yield 1

    async def streams(_: WorkflowContext) -> "Any":
        yield 1

    for each in (plain, injected, many, untyped, foreign, generates, streams):
        app.workflow(each)  # type: ignore[arg-type]  # that is the test
    text = problems(app)
    assert "workflow 'plain' (tests.unit.handlers.test_workflows" in text
    for name in ("plain", "generates", "streams"):
        assert re.search(rf"workflow '{name}' \(.*:\d+\) is no coroutine function; write", text)
    assert "what it needs besides is used in activities" in text
    assert "takes 3 parameters" in text
    assert "takes 'amount' without a type" in text
    assert "takes 'amount: Foreign', which no JSON fits" in text


def test_a_workflow_is_given_its_context_first() -> None:
    """What takes something else in its place is told so."""
    app = DaprFlow("shop")

    async def without(amount: int) -> int:
        return amount

    async def second(amount: int, ctx: WorkflowContext) -> str:
        return f"{amount} {ctx.id}"

    async def anything(ctx: Any) -> str:
        return str(ctx.id)

    functions: tuple[Any, ...] = (without, second, anything)
    for each in functions:
        app.workflow(each)
    told = problems(app)
    assert told.count("takes 'amount: int' first, where the context stands") == 2
    assert "anything" not in told


def test_an_activity_does_not_yield() -> None:
    """A generator as an activity is told so."""
    app = DaprFlow("shop")

    async def pages(_: int) -> AsyncIterator[int]:
        yield 1

    app.activity(pages)
    assert "yields; an activity returns its one result" in problems(app)


def test_an_activity_has_no_request() -> None:
    """Parameters of a query mean nothing to an activity; two of one name are told."""
    app = DaprFlow("shop")

    @app.activity
    async def queried(amount: int, *, page: "Any" = 1) -> None:
        """Do nothing."""

    @app.activity(name="queried")
    async def other() -> None:
        """Do nothing."""

    async def with_query(*, page: int) -> None:
        """Do nothing."""

    with_query.__annotations__["page"] = __import__("typing").Annotated[int, Query()]
    app.activity(with_query)
    text = problems(app)
    assert "has the name 'queried', and so has activity 'queried'" in text
    assert "takes 'page' of a request; an activity has none" in text


def test_versions_need_one_default() -> None:
    """Several versions need a default, one alone; a version is there once."""
    app = DaprFlow("shop")

    async def flow(_: WorkflowContext) -> None:
        """Do nothing."""

    app.workflow(name="a", version="1")(flow)
    app.workflow(name="a", version="2")(flow)
    app.workflow(name="b", version="1", default=True)(flow)
    app.workflow(name="b", version="2", default=True)(flow)
    app.workflow(name="c", version="1", default=True)(flow)
    app.workflow(name="c", version="1")(flow)
    app.workflow(name="d", version="1")
    text = problems(app)
    assert "has several versions and none says 'default=True'" in text
    assert "one version is the default" in text
    assert "has version '1' of workflow 'c'" in text
    assert "'app.workflow(...)' (tests.unit.handlers.test_workflows" in text


def test_an_app_without_workflows_has_no_work() -> None:
    """Asking for the work of an app that has none is told."""
    with pytest.raises(RuntimeError, match="no workflows"):
        DaprFlow("shop").work()


@pytest.mark.parametrize(
    "options",
    [
        {"attempts": 0},
        {"backoff": 0.5},
        {"jitter": 2.0},
        {"first": timedelta(seconds=-1)},
        {"maximum": timedelta(seconds=-1)},
    ],
)
def test_policies_that_cannot_be(options: dict[str, Any]) -> None:
    """A retry policy whose limits cannot be is refused where it is made."""
    with pytest.raises(ValueError, match=next(iter(options))):
        RetryPolicy(**options)


def test_policies_wait() -> None:
    """Waits grow up to their maximum, end at the deadline, and are the same for one seed."""
    failure = Failure("ValueError")
    second = timedelta(seconds=1)
    policy = RetryPolicy(attempts=10, first=second, backoff=2, maximum=3 * second)
    waits = [policy.delay(failure, attempt, "s") for attempt in (1, 2, 3, 10)]
    assert waits == [second, 2 * second, 3 * second, None]
    late = RetryPolicy(attempts=10, first=second, deadline=2 * second)
    assert [late.delay(failure, attempt, "s") for attempt in (1, 2)] == [second, None]
    shaken = RetryPolicy(jitter=0.5)
    first, again, other = (shaken.delay(failure, 1, seed) for seed in ("a", "a", "b"))
    assert first == again != other
    assert first is not None
    assert second / 2 <= first <= second


def test_policies_choose_errors() -> None:
    """Some errors are tried again alone, others never; final ones never are."""
    failure = Failure("app.NotFound")
    assert RetryPolicy(only=("NotFound",)).delay(failure, 1, "s")
    assert RetryPolicy(only=(ValueError,)).delay(failure, 1, "s") is None
    assert RetryPolicy(never=("NotFound",)).delay(failure, 1, "s") is None
    assert RetryPolicy().delay(Failure("X", final=True), 1, "s") is None
    assert RetryPolicy().delay(Failure("NonRetryableError"), 1, "s") is None
