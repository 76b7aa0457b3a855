"""Whether workflows that were killed again and again came to what they must come to."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.helpers.kill_app import STEPS, key
from tests.helpers.kill_ledger import ActivityRun


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one workflow ended.

    Attributes:
        runs: which run of each activity it was given.
        sent: the tokens it was sent, in order; True for those whose sending was acknowledged.
        seen: the tokens it got.
    """

    id: str
    runs: Sequence[str]
    sent: Mapping[str, bool]
    seen: Sequence[str]


def problems(
    outcomes: Collection[Outcome], ledger: Mapping[str, Sequence[ActivityRun]], *, alone: bool
) -> Iterator[str]:
    """Say what is wrong: a result, an activity that ran once too often, a token that got lost.

    Args:
        outcomes: how the workflows ended.
        ledger: the runs of every activity, in the order in which they began.
        alone: whether the app has one process at a time. With more of them, a sidecar that was
            killed may give one what another still does, and take the answer of either.
    """
    for outcome in outcomes:
        yield from _wrong_runs(outcome, ledger, alone=alone)
        yield from _wrong_tokens(outcome)


def _wrong_runs(
    outcome: Outcome, ledger: Mapping[str, Sequence[ActivityRun]], *, alone: bool
) -> Iterator[str]:
    """An activity runs again where its process was killed before its result was kept, alone."""
    if len(outcome.runs) != STEPS:
        yield f"{outcome.id} has {len(outcome.runs)} results"
        return
    for number, given in enumerate(outcome.runs):
        runs = ledger.get(key(outcome.id, number), ())
        ids = [run.id for run in runs]
        if given not in ids:
            yield f"{outcome.id}/{number} was given {given}, none of {ids}"
        elif alone and given != ids[-1]:
            yield f"{outcome.id}/{number} ran again though the result of {given} was kept: {ids}"
        elif len({run.process for run in runs}) != len(runs):
            yield f"{outcome.id}/{number} ran more than once in one process: {ids}"
        elif not runs[ids.index(given)].ended:
            yield f"{outcome.id}/{number} did not end"


def _wrong_tokens(outcome: Outcome) -> Iterator[str]:
    """What was acknowledged is there once, in order; what was not may be there once."""
    if len(set(outcome.seen)) != len(outcome.seen):
        yield f"{outcome.id} was given a token twice: {outcome.seen}"
    if unknown := set(outcome.seen) - set(outcome.sent):
        yield f"{outcome.id} was given what nobody sent: {unknown}"
    kept = [each for each, acknowledged in outcome.sent.items() if acknowledged]
    if [each for each in outcome.seen if outcome.sent.get(each)] != kept:
        yield f"{outcome.id} was sent {kept} and given {outcome.seen}"
