"""``dapr publish`` and ``dapr invoke``: a call through the sidecar of an app that runs here."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote, urlencode

import msgspec

from daprflow.cli.calls import JSON, Place, call, find
from daprflow.cli.dapr.flags import Flag, FlagError, Given, parse
from daprflow.cli.dapr.speech import tell
from daprflow.cli.voice import put
from daprflow.launcher.exits import Exit, LaunchError

CLOUD_EVENT = "application/cloudevents+json"
ENVELOPE = frozenset({"id", "source", "specversion", "type", "data"})

PUBLISH_FLAGS = (
    Flag("publish-app-id", short="i", help="the app that publishes"),
    Flag("pubsub", short="p", help="name of the pub/sub component"),
    Flag("topic", short="t", help="topic"),
    Flag("data", short="d", help="the event's data, JSON"),
    Flag("data-file", short="f", help="a file with the data"),
    Flag("metadata", short="m", help='JSON object, such as {"ttlInSeconds":"10"}'),
    Flag("unix-domain-socket", short="u", help="not supported"),
)
INVOKE_FLAGS = (
    Flag("app-id", short="a", help="the app to call"),
    Flag("method", short="m", help="its method"),
    Flag("data", short="d", help="the argument, JSON"),
    Flag("data-file", short="f", help="a file with the argument"),
    Flag("verb", short="v", help="HTTP verb; POST"),
    Flag("unix-domain-socket", short="u", help="not supported"),
)


def publish(words: Sequence[str], data_dir: Path) -> int:
    """Publish one event."""
    given = parse(words, PUBLISH_FLAGS, "publish")
    pubsub, topic = _needed(given, "pubsub"), _needed(given, "topic")
    place = _sidecar(data_dir, _needed(given, "publish-app-id"))
    body = _body(given)
    path = f"/v1.0/publish/{quote(pubsub, safe='')}/{quote(topic, safe='/')}{_query(given)}"
    call(place, "POST", path, body, CLOUD_EVENT if _is_cloud_event(body) else JSON)
    tell("Event published successfully")
    return Exit.OK


def invoke(words: Sequence[str], data_dir: Path) -> int:
    """Call a method, and print the answer."""
    given = parse(words, INVOKE_FLAGS, "invoke")
    app_id, method = _needed(given, "app-id"), _needed(given, "method")
    place = _sidecar(data_dir, app_id)
    path = f"/v1.0/invoke/{quote(app_id, safe='')}/method/{quote(method, safe='/?=&%')}"
    answer = call(place, given.text("verb", "POST").upper(), path, _body(given), JSON)
    if answer:
        put(sys.stdout, answer.decode(errors="replace") + "\n")
    tell("App invoked successfully")
    return Exit.OK


def _sidecar(data_dir: Path, app_id: str) -> Place:
    try:
        return find(None, data_dir, app_id, only=True)
    except LaunchError:
        raise LaunchError(
            f"app '{app_id}' does not run here; 'dapr list' shows what does"
        ) from None


def _needed(given: Given, name: str) -> str:
    value = given.text(name)
    if not value:
        raise FlagError(f"flag '--{name}' is needed")
    return value


def _body(given: Given) -> bytes:
    if given.has("unix-domain-socket"):
        raise FlagError("there are no Unix domain sockets here; leave '--unix-domain-socket' out")
    name = given.text("data-file")
    if name and given.text("data"):
        raise FlagError("give '--data' or '--data-file', not both")
    if not name:
        return given.text("data").encode()
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise FlagError(f"cannot read '{name}': {error.strerror}") from None


def _query(given: Given) -> str:
    text = given.text("metadata")
    if not text:
        return ""
    try:
        pairs = msgspec.json.decode(text, type=Mapping[str, str | int | float | bool])
    except msgspec.DecodeError as error:
        raise FlagError(f"flag '--metadata' is no JSON object of texts: {error}") from None
    return "?" + urlencode({f"metadata.{name}": _text(value) for name, value in pairs.items()})


def _text(value: str | float) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _is_cloud_event(body: bytes) -> bool:
    try:
        event = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return False
    return isinstance(event, dict) and event.keys() >= ENVELOPE
