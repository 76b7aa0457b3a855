"""Orders of calls, deliveries and turns: chosen by a seed, repeated, and made smaller."""

import asyncio

import msgspec
import pytest

from daprflow.actors import Actor
from daprflow.addresses import Topic
from daprflow.app import DaprFlow
from daprflow.client import Client
from daprflow.testing import InterleavingFailed, TestSidecar, explore
from daprflow.testing.interleaving import Seed


class Bid(msgspec.Struct):
    by: str
    amount: int


bids = Topic("pubsub", "bids", Bid)


def auction(app: DaprFlow) -> None:
    """A race: it reads the best bid, and writes it without an ETag."""

    @app.topic(bids)
    async def on_bid(bid: Bid, *, client: Client) -> None:
        store = client.state("statestore")
        best = await store.get("best", Bid)
        if best is None or best.value.amount < bid.amount:
            await store.set("best", bid)


async def two_bids(dapr: TestSidecar) -> None:
    """Two bids at once; the higher one must win."""
    await asyncio.gather(
        dapr.publish(bids, Bid("ann", 10)),
        dapr.publish(bids, Bid("bob", 20)),
    )
    assert (await dapr.saved("statestore", Bid))["best"].by == "bob"


async def test_a_lost_update_is_found_and_made_small(app: DaprFlow) -> None:
    """Some order lets the lower bid win; the error shows the smallest, which fails again."""
    auction(app)

    def make(seed: Seed) -> TestSidecar:
        return TestSidecar(app, seed=seed)

    with pytest.raises(InterleavingFailed) as found:
        await explore(make, two_bids, seeds=100)
    error = found.value
    text = str(error)
    assert sum(1 for choice in error.choices if choice) <= 4
    assert "state statestore write best" in text
    assert f"TestSidecar(app, seed={error.choices!r})" in text
    for _ in range(2):
        with pytest.raises(InterleavingFailed, match="smallest schedule"):
            await explore(lambda _: make(error.choices), two_bids, seeds=1)


async def test_code_without_a_race_passes_every_order(app: DaprFlow) -> None:
    """With an ETag no order loses the higher bid, and there are many orders."""

    @app.topic(bids)
    async def on_bid(bid: Bid, *, client: Client) -> None:
        store = client.state("statestore")

        def higher(best: Bid | None) -> Bid:
            return bid if best is None or best.amount < bid.amount else best

        await store.update("best", Bid, higher)

    orders = await explore(lambda seed: TestSidecar(app, seed=seed), two_bids, seeds=25)
    assert orders > 5


async def test_one_seed_is_one_order(app: DaprFlow) -> None:
    """The same seed gives the same steps again."""
    auction(app)
    seen = []
    for _ in range(3):
        async with TestSidecar(app, seed=7) as dapr:
            await asyncio.gather(
                *(dapr.publish(bids, Bid(f"b{number}", number)) for number in range(4))
            )
            seen.append([str(step) for step in dapr.steps])
    assert seen[0] == seen[1] == seen[2]
    assert len(seen[0]) >= 12


async def test_without_a_seed_there_are_no_steps(app: DaprFlow) -> None:
    """Nothing is held up unless a seed is given."""
    async with TestSidecar(app) as dapr:
        await dapr.state("statestore").set("a", 1)
        assert dapr.steps == ()


class Best(Actor[Bid | None]):
    """The last bid that came, whatever it was."""

    async def bid(self, bid: Bid) -> str:
        """Take a bid; return whose was the last one before."""
        before, self.state = self.state, bid
        return before.by if before is not None else ""


async def test_calls_of_one_actor_come_in_any_order(app: DaprFlow) -> None:
    """Which of two calls has the first turn is chosen, and made small."""
    app.actor(Best)
    before: set[str] = set()

    async def scenario(dapr: TestSidecar) -> None:
        ann, bob = (dapr.actor(Best, "house").bid(Bid(by, 1)) for by in ("ann", "bob"))
        _, last = await asyncio.gather(ann, bob)
        before.add(last)

    assert await explore(lambda seed: TestSidecar(app, seed=seed), scenario, seeds=10) >= 2
    assert before == {"", "ann"}

    async def unfair(dapr: TestSidecar) -> None:
        before.clear()
        await scenario(dapr)
        assert before == {"ann"}

    with pytest.raises(InterleavingFailed, match="call of actor Best bid house") as found:
        await explore(lambda seed: TestSidecar(app, seed=seed), unfair, seeds=10)
    assert found.value.choices == (1,)
