"""The other app of the auction: it knows what a lot is worth."""

from daprflow import DaprFlow

app = DaprFlow("valuer")


@app.invoke
async def estimate(lot: str) -> int:
    return 10 * len(lot)
