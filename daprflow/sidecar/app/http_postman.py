"""Events on their way to an app over HTTP, and what its answers mean."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from daprflow.protocol.deliveries import BulkDelivery, BulkEntry, BulkVerdict, Status
from daprflow.protocol.envelopes import OCTET_STREAM
from daprflow.protocol.gojson import GoJsonError, decode_go
from daprflow.protocol.http import CLOUDEVENTS_JSON, JSON, Headers, HttpRequest, HttpResponse
from daprflow.sidecar.app.postman import (
    NO_TRACE,
    SUCCESS,
    Reading,
    TopicEntry,
    Verdict,
    parent_of,
    parent_to_send,
)
from daprflow.sidecar.channel.base import AppChannel
from daprflow.sidecar.components.base import Message
from daprflow.sidecar.identifiers import new_id

_NOT_FORWARDED: Final = frozenset(
    {
        "connection",
        "content-length",
        "content-type",
        "dapr-api-token",
        "destination-app-id",
        "host",
        "http2-settings",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "pubsubname",
        "te",
        "trailer",
        "traceparent",
        "transfer-encoding",
        "upgrade",
    }
)
_name = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
_control = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


_GIVEN_UP = {"SUCCESS": SUCCESS, "DROP": Verdict(Status.DROP, "the app answered DROP")}


class _Answer(msgspec.Struct, forbid_unknown_fields=True):
    status: str = ""


_answer = msgspec.json.Decoder(_Answer)
_verdicts = msgspec.json.Decoder(BulkVerdict)


class HttpPostman:
    """Posts the events of one subscription.

    Args:
        channel: the way to the app.
        pubsub: name of the component.
        topic: what is subscribed to.
        raw: whether messages are taken as plain bytes; only batches tell.
    """

    __slots__ = ("_batches", "_channel", "_content_type", "_headers", "_pubsub", "_topic")

    def __init__(self, channel: AppChannel, pubsub: str, topic: str, *, raw: bool) -> None:
        self._channel = channel
        self._pubsub = pubsub
        self._topic = topic
        self._headers = HeaderMaker(pubsub)
        self._batches = HeaderMaker(pubsub, JSON)
        self._content_type = OCTET_STREAM if raw else CLOUDEVENTS_JSON

    async def deliver(self, message: Message, reading: Reading, /) -> Verdict:
        """Post one event.

        Raises:
            AppUnreachable: no answer came.
        """
        headers = self._headers.make(message.metadata, reading.traceparent)
        request = HttpRequest("POST", reading.path or "/", headers, reading.body)
        return judge(await self._channel.send(request))

    async def deliver_bulk(
        self, path: str, entries: Sequence[TopicEntry], /
    ) -> Mapping[str, Verdict]:
        """Post a batch and return the verdicts, as `judge_bulk` does.

        Raises:
            AppUnreachable: no answer came.
        """
        delivery = BulkDelivery(
            entries=tuple(
                BulkEntry(
                    entry.id,
                    msgspec.Raw(entry.reading.body),
                    _plain(entry.message),
                    self._content_type,
                )
                for entry in entries
            ),
            id=new_id(),
            metadata={"pubsubName": self._pubsub},
            pubsubname=self._pubsub,
            topic=self._topic,
        )
        headers = self._batches.make(None, parent_of(entries))
        request = HttpRequest("POST", path, headers, msgspec.json.encode(delivery))
        return judge_bulk(await self._channel.send(request))


def judge(response: HttpResponse) -> Verdict:
    """Read the answer to a single delivery, as the real runtime reads it.

    Any 2xx is a success unless its JSON says otherwise; the field may be named in any
    letters, the words are case-sensitive, and an unknown one means "again". 404 gives it up.
    """
    status = response.status
    if 200 <= status < 300:  # noqa: PLR2004 - the class of success
        return _judge_body(response.body) if response.body else SUCCESS
    if status == 404:  # noqa: PLR2004 - not found
        return Verdict(Status.DROP, "the app answered 404")
    return Verdict(Status.RETRY, f"the app answered {status}", status)


def _judge_body(body: bytes) -> Verdict:
    try:
        word = decode_go(_answer, body, "pubsub.AppResponse").status
    except GoJsonError:
        return SUCCESS
    if word in ("SUCCESS", ""):
        return SUCCESS
    if word == "DROP":
        return Verdict(Status.DROP, "the app answered DROP")
    if word == "RETRY":
        return Verdict(Status.RETRY, "the app answered RETRY")
    return Verdict(Status.RETRY, f"the app answered the unknown status '{word[:32]}'")


class HeaderMaker:
    """Makes the headers of deliveries of one subscription; the usual ones are made once."""

    __slots__ = ("_fixed", "_untraced")

    def __init__(self, pubsub: str, content_type: str = CLOUDEVENTS_JSON) -> None:
        self._fixed: Headers = (("content-type", content_type), ("pubsubname", pubsub))
        self._untraced: Headers = (*self._fixed, ("traceparent", NO_TRACE))

    def make(self, metadata: Mapping[str, str] | None, traceparent: str | None) -> Headers:
        """Return the headers of one delivery.

        Args:
            metadata: the message's; becomes headers, except names that are the channel's own.
            traceparent: the event's; None where the event has no trace fields at all, and then
                no such header is sent. One that is not valid is sent as all zeros.
        """
        parent = parent_to_send(traceparent)
        if parent is None:
            headers = self._fixed
        elif parent is NO_TRACE:
            headers = self._untraced
        else:
            headers = (*self._fixed, ("traceparent", parent))
        if metadata:
            return (*_as_headers(metadata), *headers)
        return headers


def _as_headers(metadata: Mapping[str, str]) -> Headers:
    """Turn publisher-chosen metadata into headers; what no header can carry is left out."""
    pairs: list[tuple[str, str]] = []
    for key, value in metadata.items():
        name = key.lower()
        if name in _NOT_FORWARDED or name.endswith("-bin") or not _name.fullmatch(name):
            continue
        pairs.append((name, _control.sub(" ", value).strip()))
    return tuple(pairs)


def judge_bulk(response: HttpResponse) -> dict[str, Verdict]:
    """Read the answer to a batch: a verdict for each entry id; ``""`` is that of all others.

    Unlike a single delivery, silence is no success: an entry that is not listed, and every entry
    when the answer cannot be read, comes again. 404 ends the whole batch without dead letters.
    """
    status = response.status
    if status == 404:  # noqa: PLR2004 - not found
        return {"": SUCCESS}
    if not 200 <= status < 300:  # noqa: PLR2004 - the class of success
        return {"": Verdict(Status.RETRY, f"the app answered {status}")}
    try:
        answer = _verdicts.decode(response.body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {"": Verdict(Status.RETRY, "the app's answer lists no statuses")}
    verdicts = {
        entry.entry_id: _GIVEN_UP.get(
            entry.status, Verdict(Status.RETRY, f"the app answered '{entry.status[:32]}'")
        )
        for entry in answer.statuses
    }
    verdicts[""] = Verdict(Status.RETRY, "the app's answer does not list the entry")
    return verdicts


def _plain(message: Message) -> dict[str, str] | None:
    return None if message.metadata is None else dict(message.metadata)
