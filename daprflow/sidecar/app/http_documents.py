"""What a sidecar asks an HTTP app at the start: its configuration and its subscriptions."""

import logging

import msgspec

from daprflow.protocol.documents import AppConfig, Subscription
from daprflow.protocol.gojson import GoJsonError, decode_go
from daprflow.protocol.http import JSON, HttpRequest, HttpResponse
from daprflow.sidecar.channel.base import AppChannel, AppUnreachable
from daprflow.sidecar.clock import Clock, sleep_until
from daprflow.sidecar.resiliency.backoff import Backoff

logger = logging.getLogger(__name__)

OK = 200
NOT_FOUND = 404

_TYPE = "[]pubsub.SubscriptionJSON"
_config = msgspec.json.Decoder(AppConfig)
_subscriptions = msgspec.json.Decoder(tuple[Subscription, ...] | None)


async def read_config(channel: AppChannel, app_id: str) -> AppConfig:
    """Fetch ``/dapr/config``, once; whatever goes wrong makes an empty configuration."""
    try:
        response = await channel.send(_get("/dapr/config", app_id))
    except AppUnreachable as error:
        logger.error("app '%s' did not answer GET /dapr/config: %s", app_id, error)  # noqa: TRY400 - the text says all
        return AppConfig()
    if response.status != OK or not response.body.strip():
        return AppConfig()
    try:
        return decode_go(_config, response.body, "config.ApplicationConfig", "ApplicationConfig")
    except GoJsonError as error:
        logger.error("app '%s' has a bad /dapr/config, taken as empty: %s", app_id, error)  # noqa: TRY400 - the text says all
        return AppConfig()


async def read_subscriptions(
    channel: AppChannel, app_id: str, clock: Clock, backoff: Backoff
) -> tuple[Subscription, ...] | None:
    """Fetch ``/dapr/subscribe``; network errors are tried again, error statuses are not.

    Args:
        channel: the way to the app.
        app_id: goes along as a header.
        clock: the engine's.
        backoff: the pauses between the tries.

    Returns:
        None where the document cannot be read, which starts no subscription at all.
    """
    response = await _fetch_subscriptions(channel, app_id, clock, backoff)
    if response is None or response.status == NOT_FOUND:
        return ()
    if response.status != OK:
        logger.error(
            "app '%s' answered GET /dapr/subscribe with %d; it gets no events until it is "
            "started again",
            app_id,
            response.status,
        )
        return ()
    if not response.body.strip():
        return ()
    try:
        return decode_go(_subscriptions, response.body, _TYPE, "SubscriptionJSON") or ()
    except GoJsonError as error:
        logger.error(  # noqa: TRY400 - the text says all
            "no subscription of app '%s' was started, its /dapr/subscribe cannot be read: %s",
            app_id,
            error,
        )
        return None


async def _fetch_subscriptions(
    channel: AppChannel, app_id: str, clock: Clock, backoff: Backoff
) -> HttpResponse | None:
    while True:
        try:
            return await channel.send(_get("/dapr/subscribe", app_id))
        except AppUnreachable as error:
            pause = backoff.next()
            if pause is None:
                logger.error("app '%s' did not answer GET /dapr/subscribe: %s", app_id, error)  # noqa: TRY400 - the text says all
                return None
            await sleep_until(clock, clock.now() + pause)


def _get(target: str, app_id: str) -> HttpRequest:
    return HttpRequest("GET", target, (("content-type", JSON), ("dapr-app-id", app_id)))
