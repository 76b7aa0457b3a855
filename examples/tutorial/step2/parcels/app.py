"""Follows parcels on their way."""

import msgspec

from daprflow import Client, DaprFlow, Topic


class Scan(msgspec.Struct):
    parcel: str
    place: str


class Parcel(msgspec.Struct):
    places: list[str]


scans = Topic("pubsub", "scans", Scan)
app = DaprFlow("parcels")


@app.topic(scans)
async def on_scan(scan: Scan, *, client: Client) -> None:
    def move(parcel: Parcel | None) -> Parcel:
        places = parcel.places if parcel else []
        return Parcel(places if scan.place in places[-1:] else [*places, scan.place])

    await client.state("statestore").update(scan.parcel, Parcel, move)
    print(f"{scan.parcel} is in {scan.place}")


@app.invoke("GET", "/parcels/{parcel}")
async def track(*, parcel: str, client: Client) -> Parcel | None:
    item = await client.state("statestore").get(parcel, Parcel)
    return item.value if item else None
