"""What an app asks of its sidecar: the bodies of its calls and the requests that carry them."""

import re
from collections.abc import Mapping, Sequence
from urllib.parse import quote

import msgspec

from daprflow.protocol.http import JSON, Headers, HttpRequest

NO_METADATA: Mapping[str, str] = {}
_plain = re.compile(r"[A-Za-z0-9_~-]+").fullmatch
"""Most names need no escaping, and to see that is five times as fast as to escape them."""


class BindingCall(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The body of an output binding call."""

    operation: str = ""
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    metadata: dict[str, str] | None = None


class BulkPublishEntry(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One entry of a bulk publish."""

    entry_id: str = msgspec.field(name="entryId", default="")
    event: msgspec.Raw = msgspec.Raw(b"null")
    content_type: str = msgspec.field(name="contentType", default="")
    metadata: dict[str, str] | None = None


OUTBOUND_HEALTH = HttpRequest("GET", "/v1.0/healthz/outbound")
"""Asks whether the sidecar serves calls. An app that is starting must not wait for ``/healthz``,
which waits for the app."""

HEALTH = HttpRequest("GET", "/v1.0/healthz")
METADATA = HttpRequest("GET", "/v1.0/metadata")


def segment(text: str) -> str:
    """Percent-encode ``text`` as one path segment, whatever it holds.

    The sidecar unescapes segments by query rules (``+`` is a space) and cleans paths of dots.

    Raises:
        ValueError: it is empty; the sidecar would take the path for another one.
    """
    if not text:
        raise ValueError("a name is empty, and a sidecar cannot be asked for that; give it one")
    if _plain(text):
        return text
    if text in {".", ".."}:
        return text.replace(".", "%2E")
    return quote(text, safe="")


def query(metadata: Mapping[str, str]) -> str:
    """Return request metadata as a query string with its ``?``; empty where there is none."""
    if not metadata:
        return ""
    return "?" + "&".join(
        f"metadata.{quote(name, safe='')}={quote(value, safe='')}"
        for name, value in metadata.items()
    )


def publish(
    pubsub: str,
    topic: str,
    body: bytes,
    content_type: str,
    metadata: Mapping[str, str] = NO_METADATA,
) -> HttpRequest:
    """Return the request that publishes ``body`` on ``topic``."""
    return HttpRequest(
        "POST",
        f"/v1.0/publish/{segment(pubsub)}/{segment(topic)}{query(metadata)}",
        (("content-type", content_type),),
        body,
    )


def publish_bulk(
    pubsub: str, topic: str, entries: Sequence[BulkPublishEntry], metadata: Mapping[str, str]
) -> HttpRequest:
    """Return the request that publishes several events on ``topic``.

    By the alpha path, which every runtime since 1.9 serves; the stable one came with 1.17.
    """
    path = f"/v1.0-alpha1/publish/bulk/{segment(pubsub)}/{segment(topic)}{query(metadata)}"
    return HttpRequest("POST", path, (("content-type", JSON),), msgspec.json.encode(entries))


def invoke(
    app_id: str, method: str, body: bytes, content_type: str, verb: str = "POST"
) -> HttpRequest:
    """Return the request that sends ``body`` to a method (a path) of another app."""
    path = "/".join(segment(part) for part in method.split("/") if part)
    headers: Headers = (("content-type", content_type),) if content_type else ()
    return HttpRequest(verb, f"/v1.0/invoke/{segment(app_id)}/method/{path}", headers, body)


def get_secret(store: str, key: str, metadata: Mapping[str, str] = NO_METADATA) -> HttpRequest:
    """Return the request that reads one secret."""
    return HttpRequest("GET", f"/v1.0/secrets/{segment(store)}/{segment(key)}{query(metadata)}")


def get_secrets(store: str, metadata: Mapping[str, str] = NO_METADATA) -> HttpRequest:
    """Return the request that reads all secrets of a store."""
    return HttpRequest("GET", f"/v1.0/secrets/{segment(store)}/bulk{query(metadata)}")


def set_metadata(key: str, value: str) -> HttpRequest:
    """Return the request that sets an entry of a sidecar's metadata."""
    headers: Headers = (("content-type", "text/plain"),)
    return HttpRequest("PUT", f"/v1.0/metadata/{segment(key)}", headers, value.encode())


def shutdown(*, force: bool = False) -> HttpRequest:
    """Return the request that ends a sidecar."""
    headers: Headers = (("dapr-force-shutdown", "true"),) if force else ()
    return HttpRequest("POST", "/v1.0/shutdown", headers)


def call_binding(name: str, call: BindingCall) -> HttpRequest:
    """Return the request that has an output binding do something."""
    body = msgspec.json.encode(call)
    return HttpRequest("POST", f"/v1.0/bindings/{segment(name)}", (("content-type", JSON),), body)
