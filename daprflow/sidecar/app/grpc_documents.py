"""What a sidecar asks a gRPC app at the start: its subscriptions."""

import logging

from daprflow.protocol import messages
from daprflow.protocol.documents import BulkSubscribe, Routes, Rule, Subscription
from daprflow.protocol.grpc_codes import Code
from daprflow.sidecar.channel.base import AppUnreachable
from daprflow.sidecar.channel.grpc import CALLBACKS, GrpcChannel
from daprflow.sidecar.channel.rpc import RpcFailed
from daprflow.sidecar.clock import Clock, sleep_until
from daprflow.sidecar.resiliency.backoff import Backoff

logger = logging.getLogger(__name__)


async def read_subscriptions(
    channel: GrpcChannel, app_id: str, clock: Clock, backoff: Backoff
) -> tuple[Subscription, ...] | None:
    """Ask ``ListTopicSubscriptions``; any error but UNIMPLEMENTED is tried again.

    Args:
        channel: the way to the app.
        app_id: for the log.
        clock: the engine's.
        backoff: the pauses between the tries.

    Returns:
        None where no answer could be had, which starts no subscription at all.
    """
    rpc, kind = f"{CALLBACKS}ListTopicSubscriptions", messages.ListTopicSubscriptionsResponse
    while True:
        try:
            answer = await channel.call(rpc, messages.Empty(), kind)
        except (RpcFailed, AppUnreachable) as error:
            if isinstance(error, RpcFailed) and error.code == Code.UNIMPLEMENTED:
                return ()
            pause = backoff.next()
            if pause is None:
                logger.error("app '%s' did not answer ListTopicSubscriptions: %s", app_id, error)  # noqa: TRY400 - the text says all
                return None
            await sleep_until(clock, clock.now() + pause)
        else:
            return tuple(map(_subscription, answer.subscriptions))


def _subscription(found: messages.TopicSubscription) -> Subscription:
    bulk = None
    if found.HasField("bulk_subscribe"):
        bulk = BulkSubscribe(
            found.bulk_subscribe.enabled,
            found.bulk_subscribe.max_messages_count or None,
            found.bulk_subscribe.max_await_duration_ms or None,
        )
    rules = tuple(Rule(rule.path, rule.match) for rule in found.routes.rules)
    default = found.routes.default
    return Subscription(
        pubsubname=found.pubsub_name,
        topic=found.topic,
        routes=Routes(rules, default) if rules or default else None,
        dead_letter_topic=found.dead_letter_topic,
        metadata=dict(found.metadata),
        bulk_subscribe=bulk,
    )
