"""One streaming subscription: events on their way to the client, and verdicts on their way back."""

import asyncio
import logging
from collections import deque
from collections.abc import Mapping, Sequence

from daprflow.protocol import faults, messages
from daprflow.protocol.deliveries import Status
from daprflow.protocol.fault import Fault
from daprflow.sidecar.app.postman import Reading, TopicEntry, Verdict
from daprflow.sidecar.channel.base import AppAway
from daprflow.sidecar.components.base import Message
from daprflow.sidecar.topic_events import BadEnvelope, topic_event, verdict_of

logger = logging.getLogger(__name__)

CLOSED = "stream closed"


class _Sent:
    """An event in its message, and the verdict on it that is awaited."""

    __slots__ = ("message", "verdict")

    def __init__(self, message: messages.SubscribeTopicEventsResponseAlpha1) -> None:
        self.message = message
        self.verdict: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()


class TopicStream:
    """Hands events to one client; a verdict belongs to the oldest event of its id.

    What waits to be written is bounded by how many events the broker hands over.

    Args:
        pubsub: name of the component.
        topic: what is subscribed to.
        limit: bytes of one message; negative means no limit.
    """

    def __init__(self, pubsub: str, topic: str, limit: int) -> None:
        self._pubsub = pubsub
        self._topic = topic
        self._limit = limit
        self._unsent: deque[_Sent] = deque()
        self._awaited: dict[str, deque[_Sent]] = {}
        self._news: asyncio.Future[None] | None = None
        self._closed = False
        self._failure: Fault | None = None

    # ---- the broker's side ----------------------------------------------------------------------

    async def deliver(self, message: Message, reading: Reading, /) -> Verdict:
        """Send one event and wait for its verdict.

        Raises:
            AppAway: the client is gone, or leaves without a verdict.
        """
        if self._closed:
            raise AppAway(CLOSED)
        try:
            event = topic_event(self._pubsub, self._topic, message, reading)
        except BadEnvelope as problem:
            return Verdict(Status.RETRY, str(problem))
        answer = messages.SubscribeTopicEventsResponseAlpha1(event_message=event)
        if 0 <= self._limit < (size := answer.ByteSize()):  # sending it would end the stream
            reason = f"trying to send message larger than max ({size} vs. {self._limit})"
            return Verdict(Status.RETRY, reason)
        sent = _Sent(answer)
        waiting = self._awaited.setdefault(event.id, deque())
        waiting.append(sent)
        self._unsent.append(sent)
        self._tell()
        try:
            return await sent.verdict
        finally:
            self._forget(sent)

    async def deliver_bulk(
        self, path: str, entries: Sequence[TopicEntry], /
    ) -> Mapping[str, Verdict]:
        """Refuse: a stream has no batches."""
        raise NotImplementedError(f"{len(entries)} entries for '{path}'")

    def give_back(self) -> None:
        """Give what waits for a verdict back to the broker, and take nothing more."""
        self._closed = True
        awaited, self._awaited = self._awaited, {}
        for waiting in awaited.values():
            for sent in waiting:
                if not sent.verdict.done():
                    sent.verdict.set_exception(AppAway(CLOSED))

    def end(self) -> None:
        """Give back what waits, and end the stream."""
        self.give_back()
        self.fail(faults.stream(CLOSED))

    # ---- the client's side ----------------------------------------------------------------------

    def judge(self, event_id: str, status: int) -> None:
        """Take the client's verdict on an event."""
        for sent in self._awaited.get(event_id, ()):
            if not sent.verdict.done():
                sent.verdict.set_result(verdict_of(status))
                return
        logger.warning(
            "a client of '%s/%s' gave a verdict on event '%s', which none is awaited for",
            self._pubsub,
            self._topic,
            event_id[:64],
        )

    def fail(self, fault: Fault) -> None:
        """End the stream with ``fault``, unless it has another one already."""
        if self._failure is None:
            self._failure = fault
            self._tell()

    async def next(self) -> messages.SubscribeTopicEventsResponseAlpha1:
        """Wait for the next event; one whose verdict is not awaited any more is left out.

        Raises:
            Fault: what ended the stream.
        """
        while self._failure is None:
            while self._unsent:
                sent = self._unsent.popleft()
                if not sent.verdict.done():
                    return sent.message
            self._news = asyncio.get_running_loop().create_future()
            await self._news
        raise self._failure

    def _tell(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    def _forget(self, sent: _Sent) -> None:
        event_id = sent.message.event_message.id
        waiting = self._awaited.get(event_id)
        if waiting is not None and sent in waiting:
            waiting.remove(sent)
            if not waiting:
                del self._awaited[event_id]
