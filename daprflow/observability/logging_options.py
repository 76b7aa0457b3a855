"""How an app logs, as its author or the environment says."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO, Final

from daprflow.observability.watching import Watcher
from daprflow.settings import SettingsError

FORMAT_VARIABLE: Final = "DAPRFLOW_LOG_FORMAT"
LEVEL_VARIABLE: Final = "DAPRFLOW_LOG_LEVEL"
_OFF: Final = frozenset({"", "off", "none", "plain"})
_LEVELS: Final[Mapping[str, int]] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "fatal": logging.CRITICAL,
    "critical": logging.CRITICAL,
}


class LogFormat(StrEnum):
    """What log lines look like.

    Example:
        ```python
        from daprflow.observability import LogFormat, Logs, Observability

        seen = Observability(logs=Logs(format=LogFormat.CONSOLE))
        ```
    """

    JSON = "json"
    CONSOLE = "console"


@dataclass(frozen=True, slots=True, kw_only=True)
class Logs:
    """How an app logs: ``Observability(logs=Logs(format=LogFormat.JSON))``.

    Attributes:
        format: JSON, one object a line, or text for people.
        level: the lowest level that is written, by Dapr's names or Python's; None leaves it to
            ``DAPRFLOW_LOG_LEVEL`` or the command's ``--log-level``, and else it is ``info``.
        deliveries: whether there is a line for each delivery; those that fail have one anyway.
        stream: where lines go; None is standard error.

    Example:
        ```python
        from daprflow.observability import Logs, Observability

        shop = DaprFlow("shop", observability=Observability(logs=Logs(level="debug")))
        ```
    """

    format: LogFormat = LogFormat.JSON
    level: str | None = None
    deliveries: bool = True
    stream: BinaryIO | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "format", LogFormat(self.format))
        if self.level is not None:
            level_number(self.level)


def logs_from(environ: Mapping[str, str]) -> Logs | None:
    """Return what ``DAPRFLOW_LOG_FORMAT`` and ``DAPRFLOW_LOG_LEVEL`` say; None without a format.

    Raises:
        SettingsError: one of them cannot be understood.
    """
    text = environ.get(FORMAT_VARIABLE, "").strip().lower()
    if text in _OFF:
        return None
    if text not in set(LogFormat):
        raise SettingsError(
            f"environment variable '{FORMAT_VARIABLE}' is {text!r}; it must be 'json', 'console' "
            "or 'plain'"
        )
    return Logs(format=LogFormat(text), level=level_from(environ))


def level_from(environ: Mapping[str, str]) -> str | None:
    """Return the level that ``DAPRFLOW_LOG_LEVEL`` names; None where it names none.

    Raises:
        SettingsError: there is no such level.
    """
    text = environ.get(LEVEL_VARIABLE, "").strip()
    if not text:
        return None
    try:
        level_number(text)
    except ValueError as error:
        raise SettingsError(f"environment variable '{LEVEL_VARIABLE}': {error}") from None
    return text


def level_number(level: str) -> int:
    """Return the number that ``logging`` has for a level.

    Raises:
        ValueError: there is no such level.
    """
    found = _LEVELS.get(level.lower())
    if found is None:
        raise ValueError(f"'{level}' is no level; it is one of {', '.join(_LEVELS)}")
    return found


def log_watchers(
    asked: Logs | bool | None,  # noqa: FBT001 - a field's value
    app_id: str,
    environ: Mapping[str, str],
) -> tuple[Watcher, ...]:
    """Return what logs for an app; nothing where nobody asks for it.

    Raises:
        SettingsError: ``DAPRFLOW_LOG_FORMAT`` or ``DAPRFLOW_LOG_LEVEL`` cannot be understood.
        MissingExtra: structlog is not installed.
    """
    if asked is None:
        asked = logs_from(environ)
    if not asked:
        return ()
    from daprflow.observability.logging_watcher import LogsWatcher  # noqa: PLC0415 - needs the extra

    logs = Logs(level=level_from(environ)) if asked is True else asked
    return (LogsWatcher(app_id, logs),)
