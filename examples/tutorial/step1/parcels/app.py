"""Follows parcels on their way."""

import msgspec

from daprflow import DaprFlow, Topic


class Scan(msgspec.Struct):
    parcel: str
    place: str


scans = Topic("pubsub", "scans", Scan)
app = DaprFlow("parcels")


@app.topic(scans)
async def on_scan(scan: Scan) -> None:
    print(f"{scan.parcel} is in {scan.place}")
