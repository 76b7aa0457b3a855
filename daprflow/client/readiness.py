"""The wait for a sidecar that is still starting."""

import asyncio
import logging
import time

from daprflow.client import failures
from daprflow.client.backoff import pauses
from daprflow.errors import SidecarUnavailable
from daprflow.protocol.operations import OUTBOUND_HEALTH
from daprflow.transports.base import Transport

logger = logging.getLogger(__name__)

BETWEEN = 0.3
"""Seconds between probes, at most: within one of its readiness a sidecar is to be in use."""
PROBE_SECONDS = 5.0
"""After so long a probe counts as unanswered: what took it may have hung and been replaced."""

TOLD_AFTER = 3.0
"""Seconds after which the log says that a sidecar is waited for; most are there before."""


async def wait_until_ready(
    transport: Transport, seconds: float, told_after: float = TOLD_AFTER
) -> None:
    """Ask for outbound health until it is given; 0 seconds means not to ask.

    Outbound, because ``/v1.0/healthz`` waits for the app, which may be waiting here.

    Raises:
        SidecarUnavailable: it was not given in time; the text says what was answered last.
    """
    if seconds <= 0:
        return
    last = f"the sidecar at {transport.address} did not answer"
    begun = time.monotonic()
    told = False
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            for pause in pauses(BETWEEN):
                try:
                    await probe(transport)
                except SidecarUnavailable as error:
                    last = str(error)
                else:
                    if told:
                        waited = time.monotonic() - begun
                        logger.info("the sidecar is ready; that took %.1f s", waited)
                    return
                if not told and time.monotonic() - begun >= told_after:
                    told = True
                    logger.warning(
                        "waiting for the sidecar, %g s at most (DAPR_HEALTH_TIMEOUT): %s",
                        seconds,
                        last,
                    )
                await asyncio.sleep(pause)
    except TimeoutError:
        if not limit.expired():
            raise
        raise SidecarUnavailable(
            f"no sidecar became ready within {seconds:g} s (DAPR_HEALTH_TIMEOUT); {last}"
        ) from None


async def probe(transport: Transport) -> None:
    """Ask for outbound health once.

    Raises:
        SidecarUnavailable: it was not given.
    """
    limit = asyncio.timeout(PROBE_SECONDS)
    try:
        async with limit:
            response = await transport.send(OUTBOUND_HEALTH)
    except TimeoutError:
        if not limit.expired():
            raise
        raise SidecarUnavailable(
            f"the sidecar at {transport.address} took a connection and answered nothing"
        ) from None
    if not failures.healthy(response):
        raise failures.not_ready(transport.address, response)
