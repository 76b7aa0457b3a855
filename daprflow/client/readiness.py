"""The wait for a sidecar that is still starting."""

import asyncio

from daprflow.client import failures
from daprflow.errors import SidecarUnavailable
from daprflow.protocol.operations import OUTBOUND_HEALTH
from daprflow.transports.base import Transport


async def wait_until_ready(transport: Transport, seconds: float) -> None:
    """Ask for outbound health until it is given; 0 seconds means not to ask.

    Outbound, because ``/v1.0/healthz`` waits for the app, which may be waiting here.

    Raises:
        SidecarUnavailable: it was not given in time; the text says what was answered last.
    """
    if seconds <= 0:
        return
    probe = _Probe(transport)
    try:
        async with asyncio.timeout(seconds):
            try:
                await probe.ask()
            except SidecarUnavailable:
                await _keep_asking(probe)
    except TimeoutError:
        raise SidecarUnavailable(
            f"no sidecar became ready within {seconds:g} s (DAPR_HEALTH_TIMEOUT); {probe.last}"
        ) from None


class _Probe:
    """Asks one sidecar for its health, and remembers why it was not given."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.last = f"the sidecar at {transport.address} did not answer"

    async def ask(self) -> None:
        try:
            response = await self._transport.send(OUTBOUND_HEALTH)
            if not failures.succeeded(response):
                raise failures.not_ready(self._transport.address, response)
        except SidecarUnavailable as error:
            self.last = str(error)
            raise


async def _keep_asking(probe: _Probe) -> None:
    """Ask with back-off, without an end of its own."""
    import stamina  # noqa: PLC0415 - only paid for when the sidecar is late

    async for attempt in stamina.retry_context(
        on=SidecarUnavailable,
        attempts=None,
        timeout=None,
        wait_initial=0.05,
        wait_max=1.0,
        wait_jitter=0.05,
    ):
        with attempt:
            await probe.ask()
