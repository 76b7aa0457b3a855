"""How one app wants its actors treated, as its ``/dapr/config`` says it, type by type."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from daprflow.protocol.documents import AppConfig, EntityConfig
from daprflow.protocol.schedules import ScheduleError, parse_duration

logger = logging.getLogger(__name__)

IDLE_TIMEOUT = 3600.0
DRAIN_TIMEOUT = 2.0
STACK_DEPTH = 32
DISSEMINATION = 30.0
"""Seconds in which the real placement service must be done with a move."""
_DRAIN_SHARE = 0.8


class SettingsRefused(ValueError):  # noqa: N818 - named for what happened
    """A duration for all types cannot be read: the app hosts no actors then."""


@dataclass(frozen=True, slots=True)
class TypeSettings:
    """What applies to actors of one type.

    Attributes:
        idle: seconds from the start of the last turn to the end of an actor.
        drain: seconds that turns may take when their actor has to leave.
        depth: how many calls may be in one turn; None where none may come back.
    """

    idle: float = IDLE_TIMEOUT
    drain: float = DRAIN_TIMEOUT
    depth: int | None = None


def settings_of(config: AppConfig, app_id: str) -> Mapping[str, TypeSettings]:
    """Return the hosted types with their settings.

    A type that an entry names has its idle timeout and reentrancy wholly from there.

    Raises:
        SettingsRefused: a duration for all types cannot be read.
    """
    try:
        common = _settings(config, app_id)
    except ScheduleError as error:
        raise SettingsRefused(
            f"app '{app_id}' hosts no actors: its /dapr/config has a duration that cannot be "
            f"read: {error}"
        ) from None
    if config.drain_rebalanced_actors is False:
        common = replace(common, drain=0.0)
    found = dict.fromkeys(config.entities, common)
    for entry in config.entities_config:
        special = _entry(entry, common, app_id)
        for name in entry.entities:
            if name in found:
                found[name] = special
            else:
                logger.warning(
                    "app '%s' has settings for actor type '%s', which it does not host",
                    app_id,
                    name,
                )
    return found


def _entry(entry: EntityConfig, common: TypeSettings, app_id: str) -> TypeSettings:
    """Return what an entry says; what it says badly has the default."""
    special = TypeSettings(depth=_depth(entry), drain=common.drain)
    try:
        special = replace(special, idle=_seconds(entry.actor_idle_timeout, IDLE_TIMEOUT))
        if common.drain and entry.drain_ongoing_call_timeout:
            special = replace(special, drain=_drain(entry.drain_ongoing_call_timeout))
    except ScheduleError as error:
        logger.warning(
            "app '%s' has a bad duration for actors of type %s, which get the default: %s",
            app_id,
            ", ".join(f"'{name}'" for name in entry.entities),
            error,
        )
    return special


def _settings(config: AppConfig, app_id: str) -> TypeSettings:
    drain = _drain(config.drain_ongoing_call_timeout)
    if drain and drain < _seconds(config.drain_ongoing_call_timeout, drain):
        logger.warning(
            "app '%s' gives turns %s to end when actors move; %g s is what a move allows",
            app_id,
            config.drain_ongoing_call_timeout,
            drain,
        )
    idle = _seconds(config.actor_idle_timeout, IDLE_TIMEOUT)
    return TypeSettings(idle, drain, _depth(config))


def _drain(text: str) -> float:
    seconds = _seconds(text, DRAIN_TIMEOUT)
    if seconds < DISSEMINATION:
        return seconds
    return max(DISSEMINATION * _DRAIN_SHARE, DRAIN_TIMEOUT)


def _seconds(text: str, default: float) -> float:
    if not text:
        return default
    return max(parse_duration(text), timedelta()).total_seconds()


def _depth(config: AppConfig | EntityConfig) -> int | None:
    reentrancy = config.reentrancy
    if reentrancy is None or not reentrancy.enabled:
        return None
    return STACK_DEPTH if reentrancy.max_stack_depth is None else reentrancy.max_stack_depth
