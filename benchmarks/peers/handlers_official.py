"""Peer: as many topics as ``HANDLERS`` says on Dapr's FastAPI extension."""

import os

from dapr.ext.fastapi import DaprApp
from fastapi import FastAPI

from benchmarks.peers.dapr_fastapi import Event

app = FastAPI()
dapr_app = DaprApp(app)


def _add(number: int) -> None:
    route = f"/on-order-{number}"

    @dapr_app.subscribe(pubsub="pubsub", topic=f"orders-{number}", route=route)  # type: ignore[untyped-decorator]
    async def on_order(event: Event) -> dict[str, str]:
        int(event.data.id)
        return {"status": "SUCCESS"}


for each in range(int(os.environ["HANDLERS"])):
    _add(each)
