"""Which policy a target has: by name, by the names of defaults, and after a reload."""

from pathlib import Path

import pytest

from daprflow.protocol.resiliency import ResiliencyResource
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.engine import Work
from daprflow.sidecar.resiliency.policy import Policy
from daprflow.sidecar.resiliency.resiliency import Resiliency
from tests.helpers.policies import policy_files

DEFAULTS = """
  policies:
    timeouts: {DefaultTimeoutPolicy: 1s, DefaultAppTimeoutPolicy: 2s,
               DefaultComponentTimeoutPolicy: 3s, DefaultComponentInboundTimeoutPolicy: 4s,
               DefaultStatestoreComponentOutboundTimeoutPolicy: 5s}
  targets:
    components: {named: {}}
    apps: {named: {}}
"""
BREAKERS = """
  policies:
    circuitBreakers:
      cb: {trip: totalFailures >= %s}
      other: {timeout: %s}
  targets:
    apps: {shop: {circuitBreaker: cb, circuitBreakerCacheSize: 2}}
    components: {store: {outbound: {circuitBreaker: other}, inbound: {circuitBreaker: cb}}}
"""


def read(folder: Path, spec: str) -> tuple[ResiliencyResource, ...]:
    """Read a spec."""
    found = policy_files(folder, spec)
    assert found.problems == found.left_out == ()
    return found.resiliencies


def resiliency(resources: tuple[ResiliencyResource, ...], app_id: str = "app1") -> Resiliency:
    """Return the resiliency of an app."""
    return Resiliency(VirtualClock(0.0), Work(), app_id, resources)


def timeout(policy: Policy | None) -> float | None:
    """Return a policy's timeout."""
    return None if policy is None else policy.timeout


async def failed(policy: Policy | None) -> None:
    """Make a call that fails."""

    async def attempt() -> None:
        raise OSError

    assert policy is not None
    with pytest.raises(OSError):  # noqa: PT011 - it has no text
        await policy.attempt(attempt)


def state(policy: Policy | None) -> str:
    """Return the state of a policy's breaker."""
    assert policy is not None
    assert policy.breaker is not None
    return policy.breaker.state.value


def test_nothing_applies_without_documents() -> None:
    """Without documents no target has a policy, and no call looks for one."""
    empty = resiliency(())
    assert empty.app("shop", "m") is None
    assert empty.outbound("store", "state") is None
    assert empty.inbound("pubsub", "pubsub") is None
    assert not empty.guards_calls


@pytest.mark.row("I-RE")
def test_defaults_by_name(tmp_path: Path) -> None:
    """The most specific default wins: type and direction, direction, component, all."""
    found = resiliency(read(tmp_path, DEFAULTS))
    assert timeout(found.outbound("any", "state")) == 5.0
    assert timeout(found.inbound("any", "state")) == 4.0
    assert timeout(found.inbound("any", "pubsub")) == 4.0
    assert timeout(found.outbound("any", "pubsub")) == 3.0
    assert timeout(found.app("any", "m")) == 2.0
    only = "  policies:\n    timeouts: {DefaultTimeoutPolicy: 1s}"
    last = resiliency(read(tmp_path / "last", only))
    assert timeout(last.app("any", "m")) == timeout(last.outbound("any", "lock")) == 1.0


def test_a_target_switches_defaults_off(tmp_path: Path) -> None:
    """A target has no defaults, even if it names no policy itself."""
    found = resiliency(read(tmp_path, DEFAULTS))
    assert found.outbound("named", "state") is None
    assert found.inbound("named", "state") is None
    assert found.app("named", "m") is None
    assert found.targets_app("named")
    assert not found.targets_app("any")


def test_documents_are_merged(tmp_path: Path) -> None:
    """Names of a later document replace those of an earlier one; scopes keep others out."""
    first = "  policies:\n    timeouts: {t: 1s}\n  targets:\n    apps: {shop: {timeout: t}}"
    second = "  policies:\n    timeouts: {t: 2s}"
    resources = (*read(tmp_path / "1", first), *read(tmp_path / "2", second))
    assert timeout(resiliency(resources).app("shop", "m")) == 2.0
    assert resiliency(resources).names == ("res", "res")


async def test_a_breaker_for_each_method(tmp_path: Path) -> None:
    """Each method of an app has its own breaker; the least used go when there are too many."""
    found = resiliency(read(tmp_path, BREAKERS % (1, "1s")))
    await failed(found.app("shop", "a"))
    assert state(found.app("shop", "a")) == "open"
    assert state(found.app("shop", "b")) == "closed"
    assert state(found.app("shop", "a")) == "open"
    assert state(found.app("shop", "c")) == "closed"
    assert state(found.app("shop", "a")) == "open"
    found.app("shop", "d")
    found.app("shop", "e")
    assert state(found.app("shop", "a")) == "closed"


async def test_a_component_has_one_breaker(tmp_path: Path) -> None:
    """Both directions of a component share a breaker, with the policy that was asked for first."""
    found = resiliency(read(tmp_path, BREAKERS % (1, "1s")))
    inbound = found.inbound("store", "state")
    await failed(inbound)
    assert state(found.outbound("store", "state")) == "open"


async def test_unchanged_breakers_stay(tmp_path: Path) -> None:
    """After a reload a breaker keeps its state unless its own policy changed."""
    found = resiliency(read(tmp_path, BREAKERS % (1, "1s")))
    await failed(found.app("shop", "a"))
    await failed(found.inbound("store", "state"))
    for number in range(3):
        found.replace(read(tmp_path, BREAKERS % (1, f"{number}s")))
    assert state(found.app("shop", "a")) == "open"
    assert state(found.inbound("store", "state")) == "open"
    found.replace(read(tmp_path, BREAKERS % (2, "1s")))
    assert state(found.app("shop", "a")) == "closed"
    assert state(found.inbound("store", "state")) == "closed"


def test_everything_can_be_taken_away(tmp_path: Path) -> None:
    """Documents that are gone leave nothing behind."""
    found = resiliency(read(tmp_path, BREAKERS % (1, "1s")))
    found.replace(())
    assert found.app("shop", "a") is None
    assert found.inbound("store", "state") is None


@pytest.mark.row("I-RE")
def test_built_in_retries(tmp_path: Path) -> None:
    """Calls between apps pause three times for a second, unless a document says otherwise."""
    backoff = resiliency(()).service_retries()
    assert [backoff.next() for _ in range(4)] == [1.0, 1.0, 1.0, None]
    text = "  policies:\n    retries: {DaprBuiltInServiceRetries: {duration: 2s, maxRetries: 4}}"
    backoff = resiliency(read(tmp_path, text)).service_retries()
    assert [backoff.next() for _ in range(5)] == [2.0, 2.0, 2.0, 2.0, None]
