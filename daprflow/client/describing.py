"""What a call on a sidecar does, read off its request: building block, operation and target."""

from collections.abc import Callable, Mapping
from urllib.parse import unquote

import msgspec

SIDECAR = "sidecar"
Describe = Callable[[str, list[str]], "Purpose"]


class Purpose(msgspec.Struct, frozen=True):
    """What a call is for.

    Attributes:
        block: the building block: ``state``, ``pubsub``, ``invoke``, ``actors``, ``bindings``,
            ``secrets``, ``configuration``, ``lock``, ``crypto``, ``conversation``, ``jobs``,
            ``workflows``, or ``sidecar`` for its metadata.
        operation: what it does there, such as ``get``, ``save`` or ``publish``; of few values.
        target: the component, the app's id or the actor's type; empty where there is none.
        name: of what is used in it: a topic, a method, a job; empty where there is none.
        instance: the id of an actor or a workflow, of which there are many; else empty.
    """

    block: str
    operation: str
    target: str = ""
    name: str = ""
    instance: str = ""


def purpose(method: str, target: str) -> Purpose:
    """Return what the request with this verb and target is for."""
    parts = target.partition("?")[0].split("/")[2:]
    block, *rest = [unquote(part) if "%" in part else part for part in parts] or [""]
    describe = _BLOCKS.get(block)
    if describe is not None and rest:
        return describe(method, rest)
    return Purpose(SIDECAR, f"{method.lower()} {block}".rstrip())


def target_of(target: str) -> tuple[str, str]:
    """Return the block, as paths name it, and the app or component, as the path spells it.

    Cheap: every call asks. Calls without a target have an empty one. What an actor's turn does with
    its state and its reminders is apart from calls of its type: these wait for such turns.
    """
    parts = target.split("/", 5)
    if len(parts) < 4:  # noqa: PLR2004 - nothing, version, block, target
        return "", ""
    block, name = parts[2], parts[3]
    if block == "publish" and name == "bulk" and len(parts) > 5:  # noqa: PLR2004 - and pub/sub, topic
        name = parts[4]
    elif block == "actors" and not parts[-1].startswith("method/"):
        block = "actors' own"
    if "?" in name:
        name = name.partition("?")[0]
    return block, name


def _state(method: str, rest: list[str]) -> Purpose:
    store, key = rest[0], rest[1] if len(rest) > 1 else ""
    if method == "GET":
        operation = "get"
    elif method == "DELETE":
        operation = "delete"
    elif not key:
        operation = "save"
    else:
        operation = {"bulk": "get_bulk", "query": "query"}.get(key, "transaction")
    return Purpose("state", operation, store)


def _publish(_: str, rest: list[str]) -> Purpose:
    if rest[0] == "bulk" and len(rest) > 2:  # noqa: PLR2004 - bulk, pub/sub, topic
        return Purpose("pubsub", "publish_bulk", rest[1], "/".join(rest[2:]))
    return Purpose("pubsub", "publish", rest[0], "/".join(rest[1:]))


def _invoke(method: str, rest: list[str]) -> Purpose:
    return Purpose("invoke", method.lower(), rest[0], "/".join(rest[2:]))


def _actors(method: str, rest: list[str]) -> Purpose:
    kind, actor, what, name = (*rest, "", "", "")[:4]
    operation = {"method": "call", "state": "state"}.get(what, f"{method.lower()} {what}")
    if operation == "state":
        operation, name = ("get_state" if method == "GET" else "save_state"), ""
    return Purpose("actors", operation, kind, name, actor)


def _secrets(_: str, rest: list[str]) -> Purpose:
    return Purpose("secrets", "get_bulk" if rest[1:] == ["bulk"] else "get", rest[0])


def _configuration(_: str, rest: list[str]) -> Purpose:
    last = rest[-1] if len(rest) > 1 else ""
    return Purpose("configuration", last if last.endswith("subscribe") else "get", rest[0])


def _named(block: str, operation: str) -> Describe:
    def describe(_: str, rest: list[str]) -> Purpose:
        return Purpose(block, operation or rest[-1], rest[0])

    return describe


def _jobs(method: str, rest: list[str]) -> Purpose:
    operation = {"GET": "get", "DELETE": "delete"}.get(method, "schedule")
    return Purpose("jobs", operation, "", rest[0])


_BLOCKS: Mapping[str, Describe] = {
    "state": _state,
    "publish": _publish,
    "invoke": _invoke,
    "actors": _actors,
    "bindings": _named("bindings", "invoke"),
    "secrets": _secrets,
    "configuration": _configuration,
    "lock": _named("lock", "try_lock"),
    "unlock": _named("lock", "unlock"),
    "crypto": _named("crypto", ""),
    "conversation": _named("conversation", ""),
    "jobs": _jobs,
}
