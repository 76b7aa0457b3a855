"""The calls of the recording ``grpc.jsonl`` against the embedded sidecar, over a real socket."""

import asyncio
import os
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.helpers.servers import REDIS
from tests.wire.grpc_session import Outcome, play_calls, read_events, recorded_calls
from tests.wire.normal import Normaliser
from tests.wire.session import ON_REDIS
from tests.wire.transcript import require_recordings

EVENTS = read_events("grpc.jsonl")
RECORDED = recorded_calls(EVENTS)

UNDECIDED = frozenset({"StartWorkflowBeta1"})
"""A method whose recorded call the client gave up: whatever is answered looks the same."""

REPLAYED = [number for number, call in RECORDED.items() if call.method not in UNDECIDED]
NOT_LOADED = frozenset() if os.environ.get(REDIS) else frozenset(ON_REDIS)
"""Components of the recording that need a server that is not there, or have a stand-in."""

NOT_OFFERED_METADATA = ("scheduler",)
"""The address of a service that is not there."""

pytestmark = pytest.mark.wire


@dataclass(frozen=True, slots=True)
class Session:
    """What was observed, and the folder that the recording calls ``$ROOT``."""

    calls: Mapping[int, Outcome]
    root: Path


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """Play everything once."""
    require_recordings()
    root = tmp_path_factory.mktemp("wire")
    return Session(asyncio.run(play_calls(root, EVENTS)), root)


def comparable(outcome: Outcome, root: Path | None = None) -> Any:
    """Bring a call's outcome into the form in which it is compared."""
    responses = [_comparable_response(outcome.method, each) for each in outcome.responses]
    normal = Normaliser({} if root is None else {str(root): "$ROOT"})
    return msgspec.json.decode(
        normal.text(msgspec.json.encode([responses, outcome.end], order="sorted").decode())
    )


def _comparable_response(method: str, response: Any) -> Any:
    if method == "EncryptAlpha1":  # what is sealed looks like noise; its size is a fact
        payload = response["payload"]
        return {**payload, "data": len(b64decode(payload["data"]))}
    return comparable_metadata(response) if method == "GetMetadata" else response


def comparable_metadata(document: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is not offered yet, and the order of components, which is no fact."""
    kept = {key: value for key, value in document.items() if key not in NOT_OFFERED_METADATA}
    kept["registered_components"] = sorted(
        (c for c in kept["registered_components"] if c["name"] not in NOT_LOADED),
        key=lambda component: str(component["name"]),
    )
    return kept


@pytest.mark.parametrize(
    "number", REPLAYED, ids=[f"{number} {RECORDED[number].method}" for number in REPLAYED]
)
def test_call(number: int, session: Session) -> None:
    """The embedded sidecar answers this call as the real runtime did."""
    assert comparable(session.calls[number], session.root) == comparable(RECORDED[number])


def test_recordings_are_present() -> None:
    """The recording holds the calls that this module replays."""
    require_recordings()
    assert len(RECORDED) == 104
    assert {call.method for call in RECORDED.values()} >= UNDECIDED
