"""The keys of a state store: from the embedded sidecar, else by a query of a real runtime."""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from daprflow.cli.calls import Place, Refused, refusal
from daprflow.cli.poke import ERRORS, Poke
from daprflow.launcher.exits import Exit
from daprflow.protocol import operations, queries
from daprflow.protocol import state as wire
from daprflow.protocol.http import HttpRequest
from daprflow.protocol.metadata import LoadedComponent, Metadata
from daprflow.protocol.own import KeysPage, list_state_keys
from daprflow.protocol.queries import Paging, Query
from daprflow.protocol.state import QueryAnswer

UNLISTED = "KEYS_NOT_LISTED"
DIRECT = "ERR_DIRECT_INVOKE"
NOT_FOUND = 404
PAGE = 100
SEARCHED = "QUERY_API"


@dataclass(frozen=True, slots=True)
class Asked:
    """Which keys are wanted."""

    store: str
    prefix: str
    limit: int
    metadata: Mapping[str, str]


class Keys(msgspec.Struct, frozen=True):
    """The keys, as ``--json`` prints them; ``more`` tells that there are further ones."""

    store: str
    keys: tuple[str, ...]
    more: bool = False


def list_keys(to: Poke, asked: Asked) -> Keys:
    """Return the keys of the app, sorted.

    Raises:
        Refused: there is no such store, or its keys cannot be listed.
    """
    place = to.place(alone=True)
    answer = to.hear(place, list_state_keys(asked.store, asked.prefix, asked.limit))
    if answer.status < ERRORS:
        page = msgspec.json.decode(answer.body, type=KeysPage)
        return Keys(asked.store, page.keys, page.more)
    problem = refusal(answer)
    if problem.error_code not in {DIRECT, ""} or problem.status not in {500, NOT_FOUND}:
        raise problem
    component = _component(to, place, asked.store)
    if SEARCHED not in component.capabilities:
        raise Refused(
            f"state store '{asked.store}' ({component.type}) cannot list its keys beside a real "
            "runtime, which has no call for that; it lists those of stores that can be searched "
            "(state.postgresql v1, state.mongodb, state.cockroachdb, state.azure.cosmosdb), and "
            "the embedded sidecar lists those of every store",
            error_code=UNLISTED,
        )
    return _searched(to, place, asked)


def _component(to: Poke, place: Place, store: str) -> LoadedComponent:
    answer = to.ask(place, operations.METADATA)
    loaded = msgspec.json.decode(answer.body, type=Metadata).components
    stores = [each for each in loaded if each.type.startswith("state.")]
    for each in stores:
        if each.name == store:
            return each
    known = ", ".join(f"'{each.name}'" for each in stores) or "none"
    text = f"there is no state store '{store}'; there is {known}"
    raise Refused(text, Exit.MISSING, "ERR_STATE_STORE_NOT_FOUND")


def _searched(to: Poke, place: Place, asked: Asked) -> Keys:
    """Read page after page: a query cannot say how a key begins."""
    found: set[str] = set()
    token = ""
    while True:
        body = queries.encode(Query(None, (), Paging(PAGE, token)))
        request: HttpRequest = wire.query(asked.store, body, asked.metadata)
        answer = to.ask(place, request)
        page = msgspec.json.decode(answer.body or b"{}", type=QueryAnswer)
        fresh = {each.key for each in page.results if each.key.startswith(asked.prefix)}
        found |= fresh
        token = page.token
        if not token or not page.results:
            break
    ordered = sorted(found)
    return Keys(asked.store, tuple(ordered[: asked.limit]), len(ordered) > asked.limit)
