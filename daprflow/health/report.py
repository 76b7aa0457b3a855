"""How an app or a sidecar is, part by part."""

from collections.abc import Iterable
from enum import StrEnum

import msgspec


class HealthStatus(StrEnum):
    """How something is; a whole is as its worst part.

    Example:
        ```python
        report = await client.health()
        if report.status is HealthStatus.DOWN:
            print("the sidecar is down")
        ```
    """

    READY = "ready"
    DEGRADED = "degraded"
    DOWN = "down"

    @property
    def rank(self) -> int:
        """The worse, the greater."""
        return list(HealthStatus).index(self)


class PartHealth(msgspec.Struct, frozen=True, omit_defaults=True):
    """How one part is.

    Attributes:
        part: "app", "loop", "sidecar", "component", "provider" or "stream".
        name: which one, such as a component's name.
        status: how it is.
        reason: why it is not ready; no payloads, secrets or tracebacks.
        type: of a component, such as ``state.redis``.
        probed: whether it was asked something. What cannot be asked without side effects counts as
            ready once the sidecar has loaded it.

    Example:
        ```python
        for part in (await client.health()).parts:
            print(part.name, part.status, part.reason)
        ```
    """

    part: str
    name: str
    status: HealthStatus
    reason: str = ""
    type: str = ""
    probed: bool = True

    def __str__(self) -> str:
        return f"{self.part} '{self.name}' is {self.status}: {self.reason}"


class HealthReport(msgspec.Struct, frozen=True):
    """How the whole is.

    Attributes:
        status: that of the worst part.
        parts: all of them.

    Example:
        ```python
        report = await client.health()
        print(report.status, [part.name for part in report.parts])
        ```
    """

    status: HealthStatus
    parts: tuple[PartHealth, ...] = ()

    @property
    def causes(self) -> tuple[PartHealth, ...]:
        """The parts that are not ready, the worst first."""
        found = [each for each in self.parts if each.status is not HealthStatus.READY]
        return tuple(sorted(found, key=lambda each: -each.status.rank))

    @property
    def ready(self) -> bool:
        """Whether all is well."""
        return self.status is HealthStatus.READY


class HealthChange(msgspec.Struct, frozen=True):
    """A report whose status is not that of the one before.

    Attributes:
        before: the status until now.
        report: how it is now, with its causes.

    Example:
        ```python
        @app.on_health
        async def tell(change: HealthChange) -> None:
            print(change.before, "->", change.report.status)
        ```
    """

    before: HealthStatus
    report: HealthReport

    @property
    def status(self) -> HealthStatus:
        """The status from now on."""
        return self.report.status


def summed(parts: Iterable[PartHealth]) -> HealthReport:
    """Return a report of these parts."""
    found = tuple(parts)
    worst = max((each.status for each in found), key=lambda each: each.rank, default=None)
    return HealthReport(worst or HealthStatus.READY, found)


class _Body(msgspec.Struct):
    """What ``/readyz`` answers."""

    status: HealthStatus
    causes: tuple[PartHealth, ...]


def body_of(report: HealthReport) -> bytes:
    """Return a report as JSON, for probes: its status, and the causes where it is not ready."""
    return msgspec.json.encode(_Body(report.status, report.causes))
