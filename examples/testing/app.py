"""An auction: bids come as events, prices from another app, and the best bid is kept."""

from collections.abc import AsyncIterator

import msgspec

from daprflow import Client, DaprFlow, Endpoint, Topic


class Bid(msgspec.Struct):
    lot: str
    by: str
    amount: int


class Archive:
    """Where won lots are written down; a real one has a connection."""

    def __init__(self) -> None:
        self.lots: list[str] = []


bids = Topic("pubsub", "bids", Bid)
sold = Topic("pubsub", "sold", Bid)
estimate = Endpoint("valuer", "estimate", str, int)

app = DaprFlow("auction")


@app.provide
async def archive() -> AsyncIterator[Archive]:
    yield Archive()


@app.topic(bids, dead_letter="bids-dead")
async def on_bid(bid: Bid, *, client: Client) -> None:
    if bid.amount < await client.invoke(estimate, bid.lot):
        return
    print(f"{bid.by} bids {bid.amount} for {bid.lot}")

    def higher(best: Bid | None) -> Bid:
        return bid if best is None or best.amount < bid.amount else best

    await client.state("statestore").update(bid.lot, Bid, higher)


@app.invoke
async def close(lot: str, *, client: Client, archive: Archive) -> str:
    best = await client.state("statestore").get(lot, Bid)
    if best is None:
        return ""
    await client.publish(sold, best.value)
    archive.lots.append(lot)
    return best.value.by
