"""Events on their way to an app over gRPC, and what its answers mean."""

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Final

from daprflow.protocol import messages
from daprflow.protocol.deliveries import Status
from daprflow.protocol.grpc_codes import Code
from daprflow.sidecar.app.postman import (
    SUCCESS,
    Reading,
    TopicEntry,
    Verdict,
    parent_of,
    parent_to_send,
)
from daprflow.sidecar.channel.grpc import ALPHA_CALLBACKS, CALLBACKS, GrpcChannel
from daprflow.sidecar.channel.rpc import Metadata, RpcFailed
from daprflow.sidecar.components.base import Message
from daprflow.sidecar.identifiers import new_id
from daprflow.sidecar.topic_events import BadEnvelope, bulk_entry, topic_event, verdict_of

logger = logging.getLogger(__name__)

_BULK_TYPE: Final = "com.dapr.event.sent.bulk"
_OWN: Final = frozenset(
    {
        "connection",
        "content-length",
        "content-type",
        "dapr-api-token",
        "pubsubname",
        "te",
        "traceparent",
        "user-agent",
    }
)
_name = re.compile(r"(?!grpc-)[0-9a-z_.-]+")
_value = re.compile(r"[ -~]*")


class GrpcPostman:
    """Calls ``OnTopicEvent`` or ``OnBulkTopicEvent`` with the events of one subscription.

    Args:
        channel: the way to the app.
        pubsub: name of the component.
        topic: what is subscribed to.
        raw: whether messages are taken as plain bytes; only batches tell.
    """

    __slots__ = ("_channel", "_pubsub", "_raw", "_topic")

    def __init__(self, channel: GrpcChannel, pubsub: str, topic: str, *, raw: bool) -> None:
        self._channel = channel
        self._pubsub = pubsub
        self._topic = topic
        self._raw = raw

    async def deliver(self, message: Message, reading: Reading, /) -> Verdict:
        """Tell of one event; an app that does not have the method loses it, as really happens.

        Raises:
            AppUnreachable: no answer came.
        """
        try:
            event = topic_event(self._pubsub, self._topic, message, reading)
        except BadEnvelope as problem:
            return Verdict(Status.RETRY, str(problem))
        metadata = (*_sent(message.metadata), *self._metadata(reading.traceparent))
        rpc, kind = f"{CALLBACKS}OnTopicEvent", messages.TopicEventResponse
        try:
            answer = await self._channel.exchange(rpc, event, kind, metadata)
        except RpcFailed as failed:
            if failed.code == Code.UNIMPLEMENTED:
                self._tell_lost("OnTopicEvent", 1)
                return SUCCESS
            reason = f"the app answered OnTopicEvent with {failed}"
            return Verdict(Status.RETRY, reason, failed.code)
        return verdict_of(answer.message.status)

    async def deliver_bulk(
        self, path: str, entries: Sequence[TopicEntry], /
    ) -> Mapping[str, Verdict]:
        """Tell of a batch; an entry without a verdict of its own comes again.

        Raises:
            AppUnreachable: no answer came.
        """
        verdicts: dict[str, Verdict] = {}
        batch = messages.TopicEventBulkRequest(
            id=new_id(),
            metadata={"pubsubName": self._pubsub},
            topic=self._topic,
            pubsub_name=self._pubsub,
            type=_BULK_TYPE,
            path=path,
        )
        for entry in entries:
            try:
                batch.entries.append(bulk_entry(entry, raw=self._raw))
            except BadEnvelope as problem:
                verdicts[entry.id] = Verdict(Status.RETRY, str(problem))
                batch.entries.add()  # an empty one stands in its place, as it really does
        try:
            answer = await self._call(batch, self._metadata(parent_of(entries)))
        except RpcFailed as failed:
            if failed.code == Code.UNIMPLEMENTED:
                self._tell_lost("OnBulkTopicEvent", len(entries))
                return {"": SUCCESS}
            reason = f"the app answered OnBulkTopicEvent with {failed}"
            return {"": Verdict(Status.RETRY, reason, failed.code)}
        judged = {each.entry_id: verdict_of(each.status) for each in answer.statuses}
        missing = Verdict(Status.RETRY, "the app's answer does not list the entry")
        return {**judged, **verdicts, "": missing}

    async def _call(
        self, batch: messages.TopicEventBulkRequest, metadata: Metadata
    ) -> messages.TopicEventBulkResponse:
        """Call the method, of older apps the one that it was before."""
        kind = messages.TopicEventBulkResponse
        try:
            rpc = f"{CALLBACKS}OnBulkTopicEvent"
            return (await self._channel.exchange(rpc, batch, kind, metadata)).message
        except RpcFailed as failed:
            if failed.code != Code.UNIMPLEMENTED:
                raise
        rpc = f"{ALPHA_CALLBACKS}OnBulkTopicEventAlpha1"
        return (await self._channel.exchange(rpc, batch, kind, metadata)).message

    def _metadata(self, traceparent: str | None) -> Metadata:
        parent = parent_to_send(traceparent)
        own = (("pubsubname", self._pubsub),)
        return own if parent is None else (*own, ("traceparent", parent))

    def _tell_lost(self, method: str, count: int) -> None:
        logger.warning(
            "events on '%s/%s' got lost (%d): the app has no method %s, which counts as an "
            "acknowledgement; implement it",
            self._pubsub,
            self._topic,
            count,
            method,
        )


def _sent(metadata: Mapping[str, str] | None) -> Metadata:
    """Return what the publisher chose; what gRPC cannot carry, or is not theirs, is left out."""
    if not metadata:
        return ()
    pairs: list[tuple[str, str | bytes]] = []
    for key, value in metadata.items():
        name = key.lower()
        if name in _OWN or not _name.fullmatch(name):
            continue
        if name.endswith("-bin"):
            pairs.append((name, value.encode()))
        elif _value.fullmatch(value):
            pairs.append((name, value))
    return tuple(pairs)
