"""Waits for an app to listen."""

import logging

from daprflow.sidecar.app.base import App
from daprflow.sidecar.clock import Clock, sleep_until
from daprflow.sidecar.options import RuntimeOptions

logger = logging.getLogger(__name__)

PROBE_PAUSE = 0.1
LOG_EVERY = 100


async def wait_for_app(app: App, clock: Clock, options: RuntimeOptions) -> None:
    """Wait, without limit, until the app accepts a connection."""
    tries = 0
    while not await app.probe():
        if not tries % LOG_EVERY:
            logger.info(
                "waiting for app '%s' to listen on %s:%s",
                options.app_id,
                options.app_channel_address,
                options.app_port,
            )
        tries += 1
        await sleep_until(clock, clock.now() + PROBE_PAUSE)
