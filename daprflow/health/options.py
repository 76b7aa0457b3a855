"""How an app is looked after: probes, the watch over its event loop, and its end."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

from daprflow.settings import seconds_of

PREFIX = "DAPRFLOW_"


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthSettings:
    """How an app is looked after, in seconds: ``DaprFlow(..., health=HealthSettings(...))``.

    Without it, each is read from the environment when the app starts: ``blocked_after`` from
    ``DAPRFLOW_BLOCKED_AFTER``, and so on.

    Attributes:
        blocked_after: after how long a handler that blocks the event loop is named in the log;
            0 does not watch the loop.
        check_every: how old a check may be that ``/readyz`` and alerts go by.
        check_timeout: how long one check may take, such as a provider's ``ping``.
        drain: how long an app that was told to stop goes on listening, for load balancers that
            learn of it late: ``/readyz`` says so, and deliveries are refused, to be made again.

    Example:
        ```python
        shop = DaprFlow("shop", health=HealthSettings(blocked_after=0.2, drain=5.0))
        ```
    """

    blocked_after: float = 0.5
    check_every: float = 5.0
    check_timeout: float = 1.0
    drain: float = 0.0

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if not 0 <= value < math.inf:
                raise ValueError(f"'{each.name}' is {value!r}; it must be seconds, at least 0")

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "HealthSettings":
        """Read the variables; an empty one counts as not set.

        Args:
            env: such as ``os.environ``.

        Returns:
            the settings; what is not set has its default.

        Raises:
            SettingsError: one holds something that cannot be used.

        Example:
            ```python
            settings = HealthSettings.from_env({"DAPRFLOW_DRAIN": "5"})
            ```
        """
        found = {}
        for each in fields(cls):
            name = PREFIX + each.name.upper()
            if env.get(name):
                found[each.name] = seconds_of(env, name, at_least=0.0)
        return cls(**found)
