"""The logger of a workflow: silent while it replays what it has said before."""

import logging
from collections.abc import Callable, MutableMapping
from typing import Any


class ReplayLogger(logging.LoggerAdapter[logging.Logger]):
    """Logs what happens for the first time, with the instance's id beside it."""

    def __init__(self, name: str, instance: str, is_silent: Callable[[], bool]) -> None:
        super().__init__(logging.getLogger(name), {"workflow_id": instance})
        self._is_silent = is_silent

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - the name of logging's own
        """Whether a message of that level is logged now."""
        return not self._is_silent() and self.logger.isEnabledFor(level)

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        """Put the instance's id beside what the message has."""
        kwargs["extra"] = {**(self.extra or {}), **(kwargs.get("extra") or {})}
        return msg, kwargs
