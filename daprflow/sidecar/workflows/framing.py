"""Frames: events one after the other, as a work item has those of the past.

Frames that stand together are one frame: a history is sent as it is kept.
"""

from collections.abc import Iterator, Sequence

from daprflow.protocol import workflow_messages as wf

_PAST = b"\x1a"
"""The tag of ``pastEvents`` in a turn, before each event."""
_LOW = 0x7F
_MORE = 0x80


def frame(events: Sequence[wf.HistoryEvent]) -> bytes:
    """Return the frame of events."""
    return wf.WorkflowRequest(pastEvents=events).SerializeToString()


def unframe(data: bytes) -> Sequence[wf.HistoryEvent]:
    """Return the events of a frame."""
    return wf.WorkflowRequest.FromString(data).pastEvents


def frame_encoded(event: bytes) -> bytes:
    """Return the frame of one event that is encoded already."""
    return b"".join((_PAST, varint(len(event)), event))


def unframe_encoded(data: bytes) -> Iterator[bytes]:
    """Return the events of a frame one by one, still encoded."""
    place, end = 0, len(data)
    while place < end:
        place += len(_PAST)
        size = shift = 0
        while True:
            byte = data[place]
            place += 1
            size |= (byte & _LOW) << shift
            shift += 7
            if byte < _MORE:
                break
        yield data[place : place + size]
        place += size


def varint(number: int) -> bytes:
    """Return a number as protobuf writes the length of a field."""
    parts = bytearray()
    while number > _LOW:
        parts.append(number & _LOW | _MORE)
        number >>= 7
    parts.append(number)
    return bytes(parts)
