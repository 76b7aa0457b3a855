"""Subscriptions under an inbound resiliency policy, which stands in place of the broker's own."""

from dataclasses import dataclass, replace

from daprflow.protocol.deliveries import Status
from daprflow.sidecar.app.postman import Reading, Verdict
from daprflow.sidecar.blocks.pubsub_bulk import BulkSubscription, Entry, answer
from daprflow.sidecar.blocks.pubsub_subscription import Place, TopicSubscription
from daprflow.sidecar.channel.base import AppUnreachable
from daprflow.sidecar.components.base import Message, Undelivered
from daprflow.sidecar.resiliency.breaker import Refused
from daprflow.sidecar.resiliency.deadline import TimedOut
from daprflow.sidecar.resiliency.pauses import Pauses
from daprflow.sidecar.resiliency.policy import NotMade, Policy, StatusFailure, StoppedRetrying


class _Failed(Exception):  # noqa: N818 - named for what happened
    """An attempt failed without a status that a policy could match."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.reason)
        self.verdict = verdict


class _FailedWithStatus(StatusFailure):
    """An attempt failed with an HTTP status."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.code)
        self.verdict = verdict


class _FailedEntries(Exception):  # noqa: N818 - named for what happened
    """Entries of a batch failed; ``matching`` does not apply to them."""


class _FailedBatch(StatusFailure):
    """A batch failed as a whole, with a status."""


@dataclass(frozen=True, slots=True)
class _Left:
    """An entry that has not gone through, and what its last attempt came to."""

    entry: Entry
    verdict: Verdict


def patience(policy: Policy, place: Place) -> int:
    """Return how many attempts of the broker come before the dead letter topic.

    One where the policy retries itself; else the broker's own redelivery goes on as it is.
    """
    return 1 if policy.retry is not None else place.component.dead_letter_after


def _own(policy: Policy, place: Place) -> Policy:
    """Return ``policy`` with pauses that end with the subscription."""
    return replace(policy, pauses=Pauses(place.clock, place.work))


class GuardedSubscription(TopicSubscription):
    """Delivers events one by one, each with the attempts that the policy allows.

    After the last one an event goes to the dead letter topic where there is one, else back to the
    broker. What a stop interrupts goes back as undelivered.
    """

    def __init__(self, place: Place, policy: Policy) -> None:
        super().__init__(place)
        self._policy = _own(policy, place)
        self.dead_letter_after = patience(policy, place)

    def stop(self) -> None:
        """Have no event wait for its next attempt any more."""
        super().stop()
        self._policy.pauses.stop()

    async def _handle(self, message: Message) -> None:
        try:
            reading = self.prepare(message)
            if isinstance(reading, Verdict):
                await self._conclude(message, reading)
            else:
                await self._try(message, reading)
        finally:
            self.place.work.end()

    async def _try(self, message: Message, reading: Reading) -> None:
        try:
            await self._policy.run(lambda: self._attempt(message, reading))
        except (NotMade, StoppedRetrying) as error:
            raise Undelivered(str(error)) from error
        except (_Failed, _FailedWithStatus) as failure:
            await self.settle(message, failure.verdict)
        except (Refused, TimedOut) as error:
            await self._conclude(message, Verdict(Status.RETRY, str(error)))

    async def _attempt(self, message: Message, reading: Reading) -> None:
        """Make one attempt; a drop is settled within it, as in the real runtime."""
        try:
            verdict = await self.postman.deliver(message, reading)
        except AppUnreachable as error:
            try:
                verdict = self.unreachable(error)
            except Undelivered as undelivered:
                raise NotMade(str(undelivered)) from undelivered
        self._note(message, verdict)
        if verdict.status is Status.DROP:
            await self.settle(message, verdict)
        elif verdict.status is Status.RETRY:
            raise _FailedWithStatus(verdict) if verdict.code else _Failed(verdict)

    async def _conclude(self, message: Message, verdict: Verdict) -> None:
        """Settle a message that no answer of the app settled."""
        self._note(message, verdict)
        await self.settle(message, verdict)

    def _note(self, message: Message, verdict: Verdict) -> None:
        if self.place.observer is not None:
            self.place.observer.delivered(self.place.pubsub, message, verdict)


class GuardedBulk(BulkSubscription):
    """Delivers batches; entries that failed are sent again, alone, as the policy allows."""

    def __init__(self, place: Place, max_count: int, max_wait: float, policy: Policy) -> None:
        super().__init__(place, max_count, max_wait)
        self._policy = _own(policy, place)
        self.dead_letter_after = patience(policy, place)

    def stop(self) -> None:
        """Have no batch wait for its next attempt any more."""
        super().stop()
        self._policy.pauses.stop()

    async def post(self, path: str, entries: list[Entry]) -> None:
        """Deliver ``entries`` of one route and give each its verdict."""
        untried = Verdict(Status.RETRY, "it was not tried")
        left = {entry.id: _Left(entry, untried) for entry in entries}

        async def attempt() -> None:
            await self._attempt(path, left)

        try:
            await self._policy.run(attempt, lambda: len(left))
        except (NotMade, StoppedRetrying) as error:
            for one in left.values():
                if not one.entry.waiting.verdict.done():
                    one.entry.waiting.verdict.set_exception(Undelivered(str(error)))
        except (_FailedEntries, _FailedBatch):
            for one in left.values():
                answer(one.entry.waiting, one.verdict)
        except (Refused, TimedOut) as error:
            for one in left.values():
                answer(one.entry.waiting, Verdict(Status.RETRY, str(error)))

    async def _attempt(self, path: str, left: dict[str, _Left]) -> None:
        """Send what is left, and answer what is done."""
        entries = [one.entry for one in left.values()]
        try:
            verdicts = await self.postman.deliver_bulk(path, entries)
        except AppUnreachable as error:
            try:
                verdicts = {"": self.unreachable(error)}
            except Undelivered as undelivered:
                raise NotMade(str(undelivered)) from undelivered
        for entry in entries:
            verdict = verdicts.get(entry.id, verdicts[""])
            if verdict.status is Status.RETRY:
                left[entry.id] = _Left(entry, verdict)
            else:
                del left[entry.id]
                answer(entry.waiting, verdict)
        if left and verdicts[""].code:
            raise _FailedBatch(verdicts[""].code)
        if left:
            raise _FailedEntries(f"{len(left)} of {len(entries)} entries failed")
