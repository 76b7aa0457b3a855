"""Follows parcels on their way."""

from typing import Any

import msgspec

from daprflow import Client, DaprFlow, Drop

from .contracts import Scan, scans, unread
from .customs import customs
from .report import note, reports


class Parcel(msgspec.Struct):
    places: list[str]


class Problem(msgspec.Struct):
    problem: str


class UnknownParcelError(Exception):
    """No scan of it has come yet."""


app = DaprFlow("parcels")
app.include(customs)
app.include(reports)


@app.topic(scans, dead_letter=unread.name)
async def on_scan(scan: Scan, *, client: Client) -> None:
    def move(parcel: Parcel | None) -> Parcel:
        places = parcel.places if parcel else []
        if "home" in places:
            raise Drop(f"{scan.parcel} is at home already")
        return Parcel(places if scan.place in places[-1:] else [*places, scan.place])

    await client.state("statestore").update(scan.parcel, Parcel, move)
    await note(scan.parcel, client)
    print(f"{scan.parcel} is in {scan.place}")


@app.topic(unread)
async def on_unread(data: Any) -> None:
    print(f"to be looked at by a human: {data}")


@app.invoke("GET", "/parcels/{parcel}")
async def track(*, parcel: str, client: Client) -> Parcel:
    item = await client.state("statestore").get(parcel, Parcel)
    if item is None:
        raise UnknownParcelError(parcel)
    return item.value


@app.on_error(UnknownParcelError, status=404)
async def unknown(error: UnknownParcelError) -> Problem:
    return Problem(f"nobody has scanned parcel '{error}'")
