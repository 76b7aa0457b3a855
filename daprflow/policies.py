"""What follows a failed tick of a job."""

from dataclasses import dataclass
from datetime import timedelta

from daprflow.protocol import jobs as wire

_LONGEST = timedelta(days=290 * 365)  # Go's durations end at 292 years
_MOST = 2**32 - 1


@dataclass(frozen=True, slots=True)
class ConstantFailurePolicy:
    """Call again after each ``interval``, at most ``max_retries`` times; None is without end.

    Example:
        ```python
        policy = ConstantFailurePolicy(interval=timedelta(seconds=5), max_retries=None)
        await client.schedule("report", every="@every 1h", failure_policy=policy)
        ```
    """

    interval: timedelta = timedelta(seconds=1)
    max_retries: int | None = 3


@dataclass(frozen=True, slots=True)
class DropFailurePolicy:
    """Give a failed tick up at once; the next one comes all the same.

    Example:
        ```python
        await client.schedule("report", every="@every 1h", failure_policy=DropFailurePolicy())
        ```
    """


FailurePolicy = ConstantFailurePolicy | DropFailurePolicy


def encode_policy(policy: FailurePolicy | None) -> wire.FailurePolicy | None:
    """Return a policy as it is sent; None leaves it to the runtime.

    Raises:
        ValueError: it cannot be sent.
    """
    if policy is None:
        return None
    if isinstance(policy, DropFailurePolicy):
        return wire.FailurePolicy(drop=wire.Drop())
    if not timedelta(0) <= policy.interval <= _LONGEST:
        raise ValueError(f"a failure policy's interval is {policy.interval}; it must be from 0 on")
    if policy.max_retries is not None and not 0 <= policy.max_retries <= _MOST:
        raise ValueError(
            f"a failure policy's max_retries is {policy.max_retries}; it must be from 0 on"
        )
    from daprflow.protocol.moments import duration_text  # noqa: PLC0415 - few programs need it

    interval = duration_text(policy.interval)
    return wire.FailurePolicy(constant=wire.Constant(interval, policy.max_retries))


def decode_policy(policy: wire.FailurePolicy | None) -> FailurePolicy:
    """Return a policy as it is told; a runtime that tells none has the usual one."""
    constant = (wire.DEFAULT_POLICY if policy is None else policy).constant
    if constant is None:
        return DropFailurePolicy()
    from daprflow.protocol.schedules import parse_duration  # noqa: PLC0415 - as above

    interval = parse_duration(constant.interval) if constant.interval else timedelta(0)
    return ConstantFailurePolicy(interval, constant.max_retries)
