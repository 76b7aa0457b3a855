"""Circuit breakers against a small model, and their rules one by one."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daprflow.protocol.resiliency import BreakerSpec
from daprflow.sidecar.resiliency.breaker import Breaker, Refused


@dataclass(slots=True)
class Time:
    """A time that the test sets."""

    now: float = 0.0

    def read(self) -> float:
        """Return it."""
        return self.now


def breaker(spec: BreakerSpec, time: Time) -> Breaker:
    """Return a breaker on ``time``."""
    return Breaker("b", spec, time.read)


def state_of(one: Breaker) -> str:
    """Return the state now."""
    return one.state.value


def call(one: Breaker, *, success: bool) -> None:
    """Make one call that ends at once."""
    one.leave(one.enter(), success=success)


def test_it_opens_after_six_failures_in_a_row() -> None:
    """Without a trip expression the sixth failure in a row opens a breaker."""
    one = breaker(BreakerSpec(), Time())
    for _ in range(5):
        call(one, success=False)
    call(one, success=True)
    for _ in range(5):
        call(one, success=False)
    assert state_of(one) == "closed"
    call(one, success=False)
    assert state_of(one) == "open"
    with pytest.raises(Refused, match=r"^circuit breaker is open$"):
        one.enter()


@pytest.mark.parametrize(
    ("trip", "trips"),
    [
        ("consecutiveFailures >= 2", True),
        ("totalFailures > 1 && requests == 3", True),
        ("totalSuccesses == 1 && consecutiveSuccesses == 0 && requests == 3", True),
        ("totalFailures / requests > 0.5", False),
        ("unknown > 1", False),
        ("requests", False),
    ],
)
def test_trip_expressions(trip: str, trips: bool) -> None:  # noqa: FBT001 - a parameter
    """A trip expression sees the counts as whole numbers; one that fails, or is no bool, is no."""
    one = breaker(BreakerSpec(trip=trip), Time())
    for success in (True, False, False):
        call(one, success=success)
    assert (state_of(one) == "open") is trips


def test_half_open_lets_some_through() -> None:
    """After its timeout a breaker lets ``maxRequests`` calls through and refuses the others."""
    time = Time()
    one = breaker(BreakerSpec(max_requests=2, timeout=10.0, trip="totalFailures > 0"), time)
    call(one, success=False)
    time.now = 10.0
    assert state_of(one) == "half-open"
    first, second = one.enter(), one.enter()
    with pytest.raises(Refused, match=r"^too many requests$"):
        one.enter()
    one.leave(first, success=True)
    assert state_of(one) == "half-open"
    one.leave(second, success=True)
    assert state_of(one) == "closed"


def test_a_failed_probe_opens_again() -> None:
    """A failure while half-open opens the breaker for another timeout."""
    time = Time()
    one = breaker(BreakerSpec(timeout=10.0, trip="totalFailures > 0"), time)
    call(one, success=False)
    time.now = 10.0
    call(one, success=False)
    time.now = 19.9
    assert state_of(one) == "open"
    time.now = 20.0
    call(one, success=True)
    assert state_of(one) == "closed"


def test_late_results_do_not_count() -> None:
    """What a call that began before the breaker opened comes to changes nothing any more."""
    time = Time()
    one = breaker(BreakerSpec(timeout=10.0, trip="totalFailures > 0"), time)
    slow = one.enter()
    call(one, success=False)
    time.now = 10.0
    probe = one.enter()
    one.leave(slow, success=False)
    assert state_of(one) == "half-open"
    one.leave(probe, success=True)
    assert state_of(one) == "closed"


def test_the_interval_forgets_failures() -> None:
    """With an interval the counts of a closed breaker begin anew each time it is over."""
    time = Time()
    one = breaker(BreakerSpec(interval=5.0, trip="totalFailures >= 2"), time)
    call(one, success=False)
    time.now = 5.0
    call(one, success=False)
    assert state_of(one) == "closed"
    call(one, success=False)
    assert state_of(one) == "open"


def test_a_call_that_was_not_made_is_taken_back() -> None:
    """A withdrawn probe leaves its place to another one."""
    time = Time()
    one = breaker(BreakerSpec(timeout=1.0, trip="totalFailures > 0"), time)
    call(one, success=False)
    time.now = 1.0
    one.withdraw(one.enter())
    call(one, success=True)
    assert state_of(one) == "closed"


@dataclass(slots=True)
class Model:
    """What a breaker that trips on consecutive failures must do, told in its own words."""

    spec: BreakerSpec
    trip_at: int
    state: str = "closed"
    failures: int = 0
    probes: int = 0
    passed: int = 0
    until: float = 0.0
    era: int = 0
    begun: dict[int, int] = field(default_factory=dict)

    def look(self, now: float) -> None:
        """Let time do its part."""
        if self.state == "open" and now >= self.until:
            self._become("half-open")

    def begin(self, number: int, now: float) -> bool:
        """Begin a call; tell whether it is let through."""
        self.look(now)
        if self.state == "open" or (
            self.state == "half-open" and self.probes >= self.spec.max_requests
        ):
            return False
        self.probes += 1
        self.begun[number] = self.era
        return True

    def end(self, number: int, now: float, *, success: bool) -> None:
        """End a call."""
        self.look(now)
        if self.begun.pop(number) != self.era:
            return
        if success:
            self.failures = 0
            self.passed += 1
            if self.state == "half-open" and self.passed >= self.spec.max_requests:
                self._become("closed")
            return
        self.failures += 1
        self.passed = 0
        if self.state == "half-open" or self.failures >= self.trip_at:
            self._become("open")
            self.until = now + self.spec.timeout

    def _become(self, state: str) -> None:
        self.state, self.failures, self.probes, self.passed = state, 0, 0, 0
        self.era += 1


steps = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.integers(1, 8)),
        st.tuples(st.just("begin"), st.just(0)),
        st.tuples(st.sampled_from(["good", "bad"]), st.integers(0, 4)),
    ),
    max_size=60,
)


@given(steps=steps, probes=st.integers(1, 3), trip_at=st.integers(1, 4))
def test_it_is_the_model(steps: list[tuple[str, int]], probes: int, trip_at: int) -> None:
    """Whatever calls overlap, end well or badly, and whenever: breaker and model agree."""
    time = Time()
    spec = BreakerSpec(probes, timeout=10.0, trip=f"consecutiveFailures >= {trip_at}")
    one, model = breaker(spec, time), Model(spec, trip_at)
    under_way: dict[int, int] = {}
    for number, (what, amount) in enumerate(steps):
        if what == "wait":
            time.now += amount
        elif what == "begin":
            expected = model.begin(number, time.now)
            try:
                under_way[number] = one.enter()
            except Refused:
                assert not expected
            else:
                assert expected
        elif under_way:
            which = list(under_way)[amount % len(under_way)]
            one.leave(under_way.pop(which), success=what == "good")
            model.end(which, time.now, success=what == "good")
        model.look(time.now)
        assert one.state.value == model.state
