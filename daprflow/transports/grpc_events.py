"""One stream of a topic's events from a sidecar, and the verdicts that go back on it.

Import it as `daprflow.transports.grpc` is imported: it needs the library and Dapr's messages.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from daprflow.protocol import messages
from daprflow.protocol.deliveries import Status
from daprflow.protocol.http import Headers
from daprflow.transports.events import CallRefused, StreamLost, TopicEvent, Wanted
from daprflow.transports.grpc import EOF, AioRpcError, Channel, ending, passes
from daprflow.transports.grpc_errors import refused

METHOD = "/dapr.proto.runtime.v1.Dapr/SubscribeTopicEventsAlpha1"
_STATUS = {
    Status.SUCCESS: messages.TopicEventResponse.SUCCESS,
    Status.RETRY: messages.TopicEventResponse.RETRY,
    Status.DROP: messages.TopicEventResponse.DROP,
}


class EventStream:
    """A subscription as one call; when it breaks, another one takes its place.

    Args:
        channel: to the sidecar.
        wanted: what is subscribed to.
        token: the sidecar's API token; empty where it has none.
        headers: what goes along, too.
    """

    def __init__(self, channel: Channel, wanted: Wanted, token: str, headers: Headers = ()) -> None:
        self._verdicts: asyncio.Queue[Any] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._reading: asyncio.Task[Any] | None = None
        start: Any = channel.stream_stream(
            METHOD,
            request_serializer=messages.SubscribeTopicEventsRequestAlpha1.SerializeToString,
            response_deserializer=messages.SubscribeTopicEventsResponseAlpha1.FromString,
        )
        metadata = (*headers, ("dapr-api-token", token)) if token else headers
        self._call = start(_requests(_initial(wanted), self._verdicts), metadata=metadata)

    @property
    def ended(self) -> bool:
        """Whether verdicts can no longer be given."""
        return bool(self._call.done())

    async def ending(self) -> CallRefused | None:
        """Return how it ended, once it has: None where that is no error."""
        return await ending(self._call)

    async def begin(self) -> None:
        """Return when the sidecar has subscribed.

        Raises:
            StreamLost: it went away.
            CallRefused: it refused.
        """
        await self._next()

    async def read(self) -> TopicEvent:
        """Return the next event; a cancelled reading loses none.

        Raises:
            StreamLost: the sidecar went away, or the client's channel was closed.
            CallRefused: it refused to go on.
        """
        while True:
            response = await self._next()
            if response.HasField("event_message"):
                return _event(response.event_message)

    def answer(self, event: str, status: Status) -> None:
        """Send the verdict on an event, by its id; nothing where the stream has ended."""
        if self.ended:
            return
        response = messages.TopicEventResponse(status=_STATUS[status])
        processed = messages.SubscribeTopicEventsRequestProcessedAlpha1(id=event, status=response)
        self._verdicts.put_nowait(
            messages.SubscribeTopicEventsRequestAlpha1(event_processed=processed)
        )

    async def end(self, seconds: float) -> None:
        """Send what is still to be sent and end; the sidecar takes back what has no verdict."""
        self._verdicts.put_nowait(None)
        try:
            with contextlib.suppress(TimeoutError, StreamLost, CallRefused):
                async with asyncio.timeout(seconds):
                    while True:
                        await self._next()
        finally:
            await self.abandon()

    async def abandon(self) -> None:
        """End at once."""
        self._stop()
        reading, self._reading = self._reading, None
        if reading is not None:
            await asyncio.wait({reading})
            _noted(reading)

    def drop(self, seconds: float) -> None:
        """End as ``end`` does, from whatever thread and without waiting: nobody reads any more."""

        def drop() -> None:
            self._verdicts.put_nowait(None)
            if not self._call.done():
                self._loop.call_later(seconds, self._call.cancel)

        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(drop)

    def _stop(self) -> None:
        self._call.cancel()
        self._verdicts.put_nowait(None)  # what waits for them would outlive a call that failed

    async def _next(self) -> Any:
        """Return the next message. The library would end a call whose reader is cancelled."""
        reading = self._reading
        if reading is None:
            reading = self._reading = self._loop.create_task(self._read())
            reading.add_done_callback(_noted)
        await asyncio.wait({reading})
        if self._reading is reading:
            self._reading = None
        return reading.result()

    async def _read(self) -> Any:
        try:
            response = await self._call.read()
        except AioRpcError as error:
            if passes(error):
                raise StreamLost(_told(error), refused(error)) from None
            raise refused(error) from None
        except asyncio.CancelledError:
            if not self._call.cancelled():
                raise
            raise StreamLost("it was cancelled here") from None
        if response is EOF:
            raise StreamLost("the sidecar ended it")
        return response


async def _requests(first: Any, verdicts: "asyncio.Queue[Any]") -> AsyncIterator[Any]:
    yield first
    while (verdict := await verdicts.get()) is not None:
        yield verdict


def _initial(wanted: Wanted) -> Any:
    initial = messages.SubscribeTopicEventsRequestInitialAlpha1(
        pubsub_name=wanted.pubsub,
        topic=wanted.topic,
        metadata=dict(wanted.metadata),
        dead_letter_topic=wanted.dead_letter or None,
    )
    return messages.SubscribeTopicEventsRequestAlpha1(initial_request=initial)


def _event(message: Any) -> TopicEvent:
    attributes = {
        **_plain(message.extensions),
        "id": message.id,
        "source": message.source,
        "type": message.type,
        "specversion": message.spec_version,
        "datacontenttype": message.data_content_type,
        "topic": message.topic,
        "pubsubname": message.pubsub_name,
    }
    return TopicEvent(message.id, attributes, message.data, message.data_content_type)


def _plain(struct: Any) -> dict[str, Any]:
    return {name: _value(value) for name, value in struct.fields.items()}


def _value(value: Any) -> Any:
    """Return a value as JSON has it; protobuf makes floats of all numbers."""
    match value.WhichOneof("kind"):
        case "struct_value":
            return _plain(value.struct_value)
        case "list_value":
            return [_value(each) for each in value.list_value.values]
        case "number_value":
            number: float = value.number_value
            return int(number) if number.is_integer() else number
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case _:
            return None


def _told(error: AioRpcError) -> str:
    return f"{error.details() or 'no reason given'} ({error.code().name})"


def _noted(reading: "asyncio.Task[Any]") -> None:
    """Take the result of a reading that nobody may wait for any more."""
    if not reading.cancelled():
        reading.exception()
