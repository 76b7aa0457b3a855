"""The pauses of retry policies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daprflow.protocol.resiliency import RetrySpec
from daprflow.sidecar.resiliency.backoff import Backoff


def pauses(spec: RetrySpec, chance: float = 0.5, most: int = 60) -> list[float]:
    """Return the pauses of a call whose attempts take no time."""
    now = 0.0
    backoff = Backoff(spec, lambda: now, lambda: chance)
    found: list[float] = []
    while len(found) < most and (pause := backoff.next()) is not None:
        found.append(pause)
        now += pause
    return found


def test_constant_pauses() -> None:
    """A constant policy pauses as often as it has retries, each time equally long."""
    assert pauses(RetrySpec(duration=0.2, max_retries=3)) == [0.2, 0.2, 0.2]
    assert pauses(RetrySpec(max_retries=0)) == []


def test_without_end() -> None:
    """Without a limit a constant policy retries for ever."""
    assert pauses(RetrySpec(), most=500) == [5.0] * 500


def test_growing_pauses() -> None:
    """Growing pauses begin at half a second and become half as long again, up to the longest."""
    spec = RetrySpec(exponential=True, max_interval=2.0, max_retries=6)
    assert pauses(spec) == pytest.approx([0.5, 0.75, 1.125, 1.6875, 2.0, 2.0])


def test_growing_pauses_end() -> None:
    """Growing pauses end a quarter of an hour after the first attempt, whatever their number."""
    found = pauses(RetrySpec(exponential=True))
    assert 885 - 60 < sum(found) <= 900
    assert found[-1] == 60.0


@given(chance=st.floats(0, 1), retries=st.integers(1, 12))
def test_spread(chance: float, retries: int) -> None:
    """A growing pause is at most half its mean away from it."""
    spec = RetrySpec(exponential=True, max_retries=retries)
    means = pauses(spec)
    for pause, mean in zip(pauses(spec, chance), means, strict=True):
        assert 0.5 * mean <= pause <= 1.5 * mean
