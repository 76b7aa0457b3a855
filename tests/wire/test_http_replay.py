"""The steps of the recording ``http.jsonl`` against the embedded sidecar, over real sockets."""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from daprflow.sidecar.resources import load_resources
from tests.helpers.servers import REDIS, address_of
from tests.wire import transcript
from tests.wire.normal import ANY_PORT, Normal, Normaliser, anonymous
from tests.wire.replay import LEFT_OUT, Played
from tests.wire.session import COMPONENTS, ON_REDIS, Session, play_session
from tests.wire.transcript import (
    ACTORS,
    FOLDER,
    JOBS,
    RECORDED_APP_PORT,
    Step,
    read_steps,
    require_recordings,
)

STEPS = read_steps("http.jsonl")
REPLAYED = [step for step in STEPS if step.replayed]

NOT_LOADED = frozenset() if os.environ.get(REDIS) else frozenset(ON_REDIS)
"""Components of the recording that need a server that is not there, or have a stand-in."""

NOT_OFFERED_METADATA = ("scheduler",)
"""The address of a service that is not there."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A step that differs on purpose: its row in docs/reference/differences.md, and what we do."""

    row: int
    status: int


DIFFERENCES: Mapping[str, Difference] = {}
"""By step; empty: no replayed step differs."""

pytestmark = pytest.mark.wire


def step_ids() -> list[str]:
    """Name the replayed steps; a name that occurs again gets the number of its line."""
    names = [step.step for step in REPLAYED]
    lines = {id(step): number for number, step in enumerate(STEPS)}
    return [
        name if names.count(name) == 1 else f"{name} [{lines[id(step)]}]"
        for name, step in zip(names, REPLAYED, strict=True)
    ]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """Play everything once."""
    require_recordings()
    return asyncio.run(play_session(tmp_path_factory.mktemp("wire"), REPLAYED))


def recorded_outcome(step: Step) -> Normal:
    """What the real runtime did."""
    normal = Normaliser({f"127.0.0.1:{RECORDED_APP_PORT}": "<app>", RECORDED_APP_PORT: ANY_PORT})
    response = step.response
    return outcome(
        normal,
        step,
        (response.status, response.headers, response.body) if response else (0, (), ""),
        [
            (call.method, call.path, call.headers, call.body)
            for call in step.app_calls
            if (call.path, call.method) != (LEFT_OUT, "POST")
        ],
    )


def observed_outcome(step: Step, played: Played, session: Session) -> Normal:
    """What the embedded sidecar did."""
    response = played.response
    return outcome(
        Normaliser(session.places),
        step,
        (response.status, response.headers, response.body.decode()) if response else (0, (), ""),
        [(call.method, call.target, call.headers, call.body.decode()) for call in played.calls],
    )


def outcome(
    normal: Normaliser,
    step: Step,
    response: tuple[int, Any, str],
    calls: list[tuple[str, str, Any, str]],
) -> Normal:
    """Bring a step's outcome into the form in which it is compared."""
    status, headers, text = response
    answered = normal.answer_headers(headers)
    body = normal.body(text)
    if step.step.startswith("metadata") and isinstance(body, dict):
        body = comparable_metadata(body)
    if step.step.startswith("bulk"):  # the real one delivers entries in any order
        calls = sorted(calls, key=lambda call: anonymous(Normaliser({}).call(*call)))
    return Normal(status, answered, body, tuple(normal.call(*call) for call in calls))


def comparable_metadata(document: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is not offered yet, and the order of components, which is no fact."""
    kept = {key: value for key, value in document.items() if key not in NOT_OFFERED_METADATA}
    kept["components"] = sorted(
        (c for c in kept["components"] if c["name"] not in NOT_LOADED), key=lambda c: str(c["name"])
    )
    kept["subscriptions"] = [
        item for item in kept["subscriptions"] if item["pubsubname"] not in NOT_LOADED
    ]
    return kept


@pytest.mark.parametrize("number", range(len(REPLAYED)), ids=step_ids())
def test_step(number: int, session: Session) -> None:
    """The embedded sidecar answers this step, and calls the app, as the real runtime did."""
    step = REPLAYED[number]
    if step.needs_redis:
        address_of(REDIS)
    recorded = recorded_outcome(step)
    observed = observed_outcome(step, session.played[number], session)
    if difference := DIFFERENCES.get(step.step):
        assert observed.status == difference.status
        return
    assert observed == recorded


def test_recordings_are_present() -> None:
    """The recording holds the steps that this module replays."""
    require_recordings()
    assert len(STEPS) == 303
    jobs = [step for step in STEPS if step.step.startswith(JOBS)]
    actors = [step for step in STEPS if step.step.startswith(ACTORS)]
    assert (len(REPLAYED), len(jobs), len(actors)) == (245, 30, 28)


@pytest.mark.parametrize(
    ("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)]
)
def test_absent_recordings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ci: str, outcome: type[BaseException]
) -> None:
    """Where the recordings are absent these tests are skipped; on CI they fail."""
    monkeypatch.setattr(transcript, "FOLDER", tmp_path / "nowhere")
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="recorded answers"):
        require_recordings()


def test_recorded_components_are_read() -> None:
    """The files that the real runtime was started with are read, and nothing is wrong with them."""
    require_recordings()
    found = load_resources([FOLDER / "inputs" / "http"])
    assert {c.name: c.type for c in found.components} == {
        **{name: kind for name, (kind, _) in COMPONENTS.items()},
        **ON_REDIS,
    }
    assert found.problems == ()


def test_differences_are_documented() -> None:
    """Every exception of this module cites a row of the page on differences."""
    page = Path(__file__).parents[2] / "docs" / "reference" / "differences.md"
    text = page.read_text(encoding="utf-8")
    assert all(f"\n| {difference.row} |" in text for difference in DIFFERENCES.values())
