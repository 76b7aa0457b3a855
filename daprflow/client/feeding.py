"""Feeds an app's configuration handlers: the first values at start-up, then every change."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from daprflow.client.pushes import Pushes
from daprflow.client.watching import NotTaken, Watch
from daprflow.protocol.configuration import PREFIX, ConfigurationEvent, ConfigurationItem

if TYPE_CHECKING:
    from daprflow.client.client import Client
    from daprflow.handlers.configurations import ConfigurationPlan
    from daprflow.handlers.handler import Delivery, Outcome

logger = logging.getLogger(__name__)

PATIENCE = 5.0
"""Seconds that an app's start waits for its configuration stores."""
REREAD = 60.0
"""Seconds between readings that make up for a change that was posted in vain."""

_OK = 200
_events = msgspec.json.Decoder(ConfigurationEvent)


class _Refused(NotTaken):
    """A handler answered with something else than 200."""

    def __init__(self, outcome: "Outcome") -> None:
        super().__init__(f"status {outcome.http_status}")
        self.outcome = outcome


class ConfigurationFeed:
    """The configuration of one app, as it runs.

    Attributes:
        pushes: what the sidecar posts; the app's client subscribes with it, too.
    """

    def __init__(self) -> None:
        self.pushes: Pushes = Pushes()
        self._watches: list[Watch] = []

    @asynccontextmanager
    async def running(
        self, client: "Client", plans: "Sequence[ConfigurationPlan]"
    ) -> AsyncIterator[None]:
        """Bring every handler its first value, or its default; then keep them all up to date.

        A store that is away holds the start up for five seconds at most.
        """
        client.receive(self.pushes)
        watches = self._watches = [self._watch(client, plan) for plan in plans]
        try:
            await asyncio.gather(
                *(_begin(watch, plan) for watch, plan in zip(watches, plans, strict=True))
            )
            yield
        finally:
            await asyncio.gather(*(watch.close() for watch in watches))
            self._watches = []
            client.receive(None)

    def failing(self) -> Iterator[tuple[str, bool]]:
        """Give each store that handlers follow, and whether it cannot be read now."""
        return ((watch.store, watch.error is not None) for watch in self._watches)

    async def deliver(self, delivery: "Delivery") -> "Outcome":
        """Take what the sidecar posts below ``/configuration/``; only the item the path names."""
        from daprflow.handlers import verdicts  # noqa: PLC0415 - a client alone needs no handlers

        scope = delivery.scope or {}
        path: str = scope.get("path", "").removeprefix(scope.get("root_path", ""))
        store, _, key = path.removeprefix(PREFIX).partition("/")
        try:
            event = _events.decode(delivery.body)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return verdicts.refusal(500, "the body is no configuration event")
        try:
            known = await self.pushes.arrived(store, key, event)
        except _Refused as refused:
            return refused.outcome
        if known:
            return verdicts.DONE
        logger.warning("the sidecar told of configuration store '%s', which nobody follows", store)
        return verdicts.refusal(500, "nobody follows this configuration store")

    def _watch(self, client: "Client", plan: "ConfigurationPlan") -> Watch:
        changed = partial(_tell, plan)
        caller = client._caller  # noqa: SLF001 - a part of the client
        return Watch(caller, plan.store, plan.keys, changed, pushes=self.pushes, every=REREAD)


async def _begin(watch: Watch, plan: "ConfigurationPlan") -> None:
    await watch.first(PATIENCE)
    if plan.has_default:
        await watch.assume_missing()
    watch.start()


async def _tell(plan: "ConfigurationPlan", key: str, item: ConfigurationItem) -> None:
    """Call a handler.

    Raises:
        NotTaken: it did not take the item.
    """
    from daprflow.handlers.configurations import delivery_of  # noqa: PLC0415 - see above

    outcome = await plan.call(delivery_of(plan.store, key, item))
    if outcome.http_status != _OK:
        raise _Refused(outcome)
