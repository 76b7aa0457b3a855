"""One policy: what is tried again, when, and what ends it."""

import asyncio
from dataclasses import dataclass, field

import pytest

from daprflow.protocol.resiliency import BreakerSpec, CodeRange, RetrySpec
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.engine import Work
from daprflow.sidecar.resiliency.breaker import Breaker, Refused
from daprflow.sidecar.resiliency.deadline import TimedOut
from daprflow.sidecar.resiliency.pauses import Pauses
from daprflow.sidecar.resiliency.policy import (
    LastingFailure,
    NotMade,
    Policy,
    StatusFailure,
    StoppedRetrying,
)
from tests.helpers.timing import until

START = 1_000.0
THREE = RetrySpec(duration=1.0, max_retries=3)


class Lost(Exception):  # noqa: N818 - a failure without a status
    """The attempt failed."""


@dataclass(slots=True)
class Target:
    """Something to call: fails as told, call by call, then succeeds; None hangs."""

    clock: VirtualClock
    failures: list[Exception | None] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    called: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self) -> str:
        """Make one attempt."""
        self.times.append(self.clock.now() - START)
        self.called.set()
        if not self.failures:
            return "done"
        failure = self.failures.pop(0)
        if failure is None:
            await asyncio.Event().wait()
        assert failure is not None
        raise failure


@dataclass(slots=True)
class Place:
    """What a policy works with."""

    clock: VirtualClock = field(default_factory=lambda: VirtualClock(START))
    work: Work = field(default_factory=Work)

    def policy(
        self,
        retry: RetrySpec | None = None,
        timeout: float | None = None,
        breaker: BreakerSpec | None = None,
    ) -> Policy:
        """Return a policy on the clock."""
        made = None if breaker is None else Breaker("b", breaker, self.clock.now)
        return Policy("it", self.clock, Pauses(self.clock, self.work), timeout, retry, made)

    async def run(self, policy: Policy, target: Target) -> str:
        """Run ``target`` under ``policy`` while virtual time goes on."""
        task = asyncio.ensure_future(policy.run(target))
        await until(self.clock, task.done)
        return await task


async def test_attempts_until_success() -> None:
    """Failures are tried again after the policy's pause until an attempt succeeds."""
    place = Place()
    target = Target(place.clock, [Lost(), Lost()])
    assert await place.run(place.policy(THREE), target) == "done"
    assert target.times == [0.0, 1.0, 2.0]


async def test_the_last_failure_is_told() -> None:
    """When the retries are used up, the failure of the last attempt is raised."""
    place = Place()
    target = Target(place.clock, [Lost(str(number)) for number in range(9)])
    with pytest.raises(Lost, match=r"^3$"):
        await place.run(place.policy(THREE), target)
    assert target.times == [0.0, 1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("status", "attempts"), [(500, 4), (599, 4), (429, 4), (404, 1), (8, 4), (13, 1), (99, 1)]
)
async def test_matching(status: int, attempts: int) -> None:
    """Only matched statuses are tried again: up to 16 they are gRPC's, from 100 on HTTP's."""
    spec = RetrySpec(
        duration=1.0,
        max_retries=3,
        http_codes=(CodeRange(429, 429), CodeRange(500, 599)),
        grpc_codes=(CodeRange(8, 8),),
    )
    place = Place()
    target = Target(place.clock, [StatusFailure(status) for _ in range(9)])
    with pytest.raises(StatusFailure):
        await place.run(place.policy(spec), target)
    assert len(target.times) == attempts


@pytest.mark.parametrize("failure", [LastingFailure("x"), NotMade("x")])
async def test_what_is_never_tried_again(failure: Exception) -> None:
    """What no attempt can mend, and what was not made at all, ends the call."""
    place = Place()
    target = Target(place.clock, [failure])
    with pytest.raises(type(failure)):
        await place.run(place.policy(THREE), target)
    assert len(target.times) == 1


async def test_each_attempt_has_its_own_timeout() -> None:
    """A hanging attempt is given up after the timeout and counts as a failure like any other."""
    place = Place()
    target = Target(place.clock, [None, None])
    assert await place.run(place.policy(THREE, timeout=2.0), target) == "done"
    assert target.times == [0.0, 3.0, 6.0]


async def test_a_timeout_alone() -> None:
    """Without retries a timeout is the call's failure, in the real runtime's words."""
    place = Place()
    with pytest.raises(TimedOut, match=r"^context deadline exceeded$"):
        await place.run(place.policy(timeout=2.0), Target(place.clock, [None]))
    assert place.clock.now() == START + 2.0


async def test_the_breaker_counts_every_attempt() -> None:
    """A breaker that opens within the retries of one call ends them."""
    place = Place()
    policy = place.policy(THREE, breaker=BreakerSpec(trip="totalFailures >= 2"))
    target = Target(place.clock, [Lost() for _ in range(9)])
    with pytest.raises(Refused, match=r"^circuit breaker is open$"):
        await place.run(policy, target)
    assert target.times == [0.0, 1.0]


async def test_a_timeout_counts_for_the_breaker() -> None:
    """A timed-out attempt is a failure to the breaker around it."""
    place = Place()
    policy = place.policy(timeout=1.0, breaker=BreakerSpec(trip="totalFailures >= 1"))
    with pytest.raises(TimedOut):
        await place.run(policy, Target(place.clock, [None]))
    with pytest.raises(Refused):
        await place.run(policy, Target(place.clock))


async def test_a_call_not_made_counts_nowhere() -> None:
    """A call that was not made leaves the breaker as it was."""
    place = Place()
    policy = place.policy(breaker=BreakerSpec(trip="totalFailures >= 1 || requests > 1"))
    for _ in range(3):
        with pytest.raises(NotMade):
            await place.run(policy, Target(place.clock, [NotMade()]))
    assert await place.run(policy, Target(place.clock)) == "done"


async def test_a_stop_ends_the_pause() -> None:
    """When what a call belongs to stops, no further attempt is made."""
    place = Place()
    policy = place.policy(RetrySpec())
    target = Target(place.clock, [Lost("why")])
    task = asyncio.ensure_future(policy.run(target))
    await target.called.wait()
    await asyncio.sleep(0)
    policy.pauses.stop()
    with pytest.raises(StoppedRetrying) as caught:
        await task
    assert isinstance(caught.value.__cause__, Lost)
    assert place.clock.due() is None


async def test_pauses_are_no_work() -> None:
    """A call that pauses does not hold up who waits for rest; it counts again as it goes on."""
    place = Place()
    target = Target(place.clock, [Lost()])
    place.work.begin()
    task = asyncio.ensure_future(place.policy(THREE).run(target))
    await asyncio.wait_for(place.work.idle(), 1.0)
    place.clock.move_to(START + 1.0)
    assert place.work.count == 1
    assert await task == "done"
    place.work.end()
    assert place.work.count == 0


async def test_a_foreign_cancellation_stays_one() -> None:
    """Who cancels a call under a timeout gets a cancellation, not a timeout."""
    place = Place()
    target = Target(place.clock, [None])
    task = asyncio.ensure_future(place.policy(THREE, timeout=5.0).run(target))
    await target.called.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert place.clock.due() is None


async def test_a_cancelled_pause_leaves_nothing() -> None:
    """A call cancelled in its pause leaves no timer, and no rest that nobody ends."""
    place = Place()
    target = Target(place.clock, [Lost()])
    place.work.begin()
    task = asyncio.ensure_future(place.policy(THREE).run(target))
    await asyncio.wait_for(place.work.idle(), 1.0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert place.clock.due() is None
    assert place.work.count == 1
