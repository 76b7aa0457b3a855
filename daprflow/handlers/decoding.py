"""Deciding on an event's data: JSON, text, base64 or binary mode, to the type a handler wants."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from daprflow.addresses import type_name
from daprflow.handlers.codecs import NO_CODECS, Codecs, ContentCodec
from daprflow.handlers.handler import Delivery
from daprflow.protocol import cloudevents
from daprflow.protocol.cloudevents import CloudEvent, Envelope, NotAnEvent
from daprflow.protocol.envelopes import OCTET_STREAM, media_type
from daprflow.protocol.http import JSON

logger = logging.getLogger(__name__)

_FAILURES = (ValueError, RecursionError)
RawHeaders = Sequence[tuple[bytes, bytes]]


class Undecodable(Exception):  # noqa: N818 - named for the payload
    """A payload does not fit its type; the text names the place, never a value."""


class BodyDecoder:
    """Decodes a whole body, as bindings and invocations carry it."""

    __slots__ = ("content_type", "decode")

    def __init__(self, payload: Any, codecs: Codecs = NO_CODECS) -> None:
        content = codecs.content_of(payload)
        self.content_type: str = "" if content is None else content.content_type
        self.decode: Callable[[bytes], Any] = (
            _content_body(content, payload)
            if content is not None
            else _raw_body(payload) or json_body(payload, codecs)
        )

    def read(self, delivery: Delivery) -> Any:
        """Decode a body whose type has a content type of its own.

        Raises:
            Undecodable: it does not fit, or says that it is something else.
        """
        given = media_type(delivery.content_type) if _is_labelled(delivery) else ""
        if given not in ("", OCTET_STREAM, media_type(self.content_type)):
            raise Undecodable(f"the body is '{given}'; it must be '{self.content_type}'")
        return self.decode(delivery.body)


class EventDecoder:
    """Decodes the data of an event to one type.

    The usual event (structured, JSON data of the right type) takes one pass; everything else is
    looked at again without haste.
    """

    __slots__ = ("_content", "_data", "_fast", "_payload", "_raw", "_told")

    def __init__(self, payload: Any, *, raw: bool = False, codecs: Codecs = NO_CODECS) -> None:
        self._payload = payload
        self._content = codecs.content_of(payload)
        self._raw = payload in (bytes, str) or self._content is not None
        self._data = codecs.decoder(payload)
        self._told = False
        slow = raw or self._raw
        self._fast = (
            None
            if slow
            else msgspec.json.Decoder(Envelope[payload], dec_hook=codecs.decode_other).decode
        )

    def data(self, delivery: Delivery) -> Any:
        """Return the data of a delivered event.

        Raises:
            Undecodable: it is no event, or its data does not fit.
        """
        if self._fast is not None:
            try:
                return self._fast(delivery.body).data
            except _FAILURES:
                pass
        return self._slow(delivery.body, delivery.raw_headers)[0]

    def event(self, delivery: Delivery) -> CloudEvent[Any]:
        """Return a delivered event with its envelope.

        Raises:
            Undecodable: it is no event, or its data does not fit.
        """
        return self.event_of(delivery.body, delivery.raw_headers)

    def event_of(self, body: bytes | msgspec.Raw, headers: RawHeaders = ()) -> CloudEvent[Any]:
        """As ``event``, from a body and headers."""
        data, attributes = self._slow(body, headers)
        try:
            known = attributes or cloudevents.structured_attributes(body)
            return cloudevents.cloud_event(known, data)
        except _FAILURES as error:
            raise Undecodable(cloudevents.reason_of(error)) from None

    def bytes_event(self, attributes: Mapping[str, Any], content: bytes) -> CloudEvent[Any]:
        """Return an event around raw bytes, as bulk deliveries of raw payloads bring them."""
        return cloudevents.cloud_event(attributes, self._from_bytes(content))

    def parted_event(
        self, attributes: Mapping[str, Any], content: bytes, content_type: str
    ) -> CloudEvent[Any]:
        """Return an event whose data comes apart from its envelope, as over gRPC.

        Raises:
            Undecodable: the data does not fit.
        """
        kind = media_type(content_type)
        if kind == JSON or kind.endswith("+json"):
            data = self._from_json(msgspec.Raw(content) if content else msgspec.UNSET)
        elif kind.startswith("text/") or kind == "application/xml":
            data = self._from_json(msgspec.Raw(_quoted(content)))
        elif not content and kind not in ("", OCTET_STREAM):
            raise Undecodable(f"a runtime passes no data of content type '{kind}' on over gRPC")
        else:
            data = self._from_bytes(content)
        return cloudevents.cloud_event(attributes, data)

    def _slow(
        self, body: bytes | msgspec.Raw, headers: RawHeaders
    ) -> tuple[Any, Mapping[str, Any] | None]:
        try:
            envelope = cloudevents.read_envelope(body)
        except NotAnEvent as error:
            return self._binary(bytes(body), headers, error)
        if envelope.data_base64 is not msgspec.UNSET and envelope.data is msgspec.UNSET:
            return self._from_base64(envelope.data_base64), None
        return self._from_json(envelope.data), None

    def _binary(
        self, body: bytes, headers: RawHeaders, reason: NotAnEvent
    ) -> tuple[Any, Mapping[str, Any]]:
        try:
            attributes = cloudevents.binary_attributes(headers)
        except NotAnEvent as error:
            raise Undecodable(str(error)) from None
        if attributes is None:
            raise Undecodable(str(reason)) from None
        return self._from_bytes(body), attributes

    def _from_base64(self, encoded: str) -> Any:
        try:
            content = cloudevents.decode_base64(encoded)
        except NotAnEvent as error:
            raise Undecodable(str(error)) from None
        return self._from_bytes(content)

    def _from_bytes(self, content: bytes) -> Any:
        if self._payload is bytes:
            return content
        try:
            if self._content is not None:
                return self._content.read(content, self._payload)
            return content.decode() if self._payload is str else self._data.decode(content)
        except _FAILURES as error:
            raise Undecodable(f"data: {_reason(error)}") from None

    def _from_json(self, found: msgspec.Raw | msgspec.UnsetType) -> Any:
        missing = found is msgspec.UNSET
        content = b"null" if found is msgspec.UNSET else bytes(found)
        try:
            if self._content is not None and not missing:
                return _content_data(self._content, content, self._payload)
            if self._raw and not missing:
                return _raw_data(content, self._payload)
            return self._data.decode(content)
        except _FAILURES as error:
            if missing:
                raise Undecodable("the event has no 'data'") from None
            if content[:1] == b'"' and self._content is None:
                return self._from_text(content, error)
            raise Undecodable(f"data: {_reason(error)}") from None

    def _from_text(self, content: bytes, reason: Exception) -> Any:
        """Decode JSON that was published as text, which arrives as a string."""
        try:
            data = self._data.decode(msgspec.json.decode(content, type=str))
        except _FAILURES:
            raise Undecodable(f"data: {_reason(reason)}") from None
        if not self._told:
            self._told = True
            logger.warning(
                "an event's data is JSON inside a string, decoded to '%s' all the same; "
                "publish it with content type application/json",
                type_name(self._payload),
            )
        return data


def _quoted(content: bytes) -> bytes:
    try:
        return msgspec.json.encode(content.decode())
    except UnicodeDecodeError as error:
        raise Undecodable(f"data: {_reason(error)}") from None


def _raw_data(content: bytes, wanted: type) -> bytes | str:
    """Return JSON data for a handler that takes text or bytes: a string's own text, else JSON."""
    found = msgspec.json.decode(content, type=str) if content[:1] == b'"' else content.decode()
    return found if wanted is str else found.encode()


def _content_data(codec: ContentCodec[Any], content: bytes, wanted: Any) -> Any:
    """Decode data that a sidecar took for text, and so wrote as a JSON string."""
    if content[:1] != b'"':
        raise ValueError(f"it is JSON, but '{type_name(wanted)}' travels as {codec.content_type}")
    return codec.read(msgspec.json.decode(content, type=str).encode(), wanted)


def _content_body(codec: ContentCodec[Any], wanted: Any) -> Callable[[bytes], Any]:
    def as_content(body: bytes) -> Any:
        try:
            return codec.read(body, wanted)
        except ValueError as error:
            raise Undecodable(str(error)) from None

    return as_content


def _is_labelled(delivery: Delivery) -> bool:
    return any(name == b"content-type" for name, _ in delivery.raw_headers)


def _raw_body(payload: Any) -> Callable[[bytes], Any] | None:
    if payload is bytes:
        return bytes
    if payload is not str:
        return None

    def as_text(body: bytes) -> str:
        try:
            return body.decode()
        except UnicodeDecodeError as error:
            raise Undecodable(_reason(error)) from None

    return as_text


def json_body(payload: Any, codecs: Codecs) -> Callable[[bytes], Any]:
    """Return what decodes a body of JSON, also where the type has a content type of its own."""
    decode = codecs.decoder(payload).decode

    def as_json(body: bytes) -> Any:
        try:
            return decode(body or b"null")
        except _FAILURES as error:
            raise Undecodable(_reason(error) if body else "the body is empty") from None

    return as_json


def _reason(error: Exception) -> str:
    if isinstance(error, msgspec.DecodeError) and not isinstance(error, msgspec.ValidationError):
        return "it is not JSON"
    return cloudevents.reason_of(error)
