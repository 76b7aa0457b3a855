"""Readings of many sensors at once: published, handled, stored and read in few calls."""

from datetime import timedelta

import msgspec

from daprflow import Batch, BulkPublishError, BulkStateError, Client, DaprFlow, Topic


class Reading(msgspec.Struct):
    sensor: str
    degrees: float


class Imported(msgspec.Struct):
    taken: int
    refused: dict[int, str]
    """What the broker did not take: the position and why."""


readings = Topic("pubsub", "readings", Reading)
unusable = Topic("pubsub", "readings-unusable", Reading)
app = DaprFlow("bulk-example")


# --8<-- [start:publish]
@app.invoke("POST", "/import")
async def import_readings(given: list[Reading], *, client: Client) -> Imported:
    """Publish all of them with as few requests as fit."""
    try:
        await client.publish_many(readings, given)
    except BulkPublishError as error:
        return Imported(len(given) - len(error.failed), error.failed)
    return Imported(len(given), {})


# --8<-- [end:publish]


# --8<-- [start:subscribe]
@app.topic(
    readings,
    max_messages=100,
    max_wait=timedelta(milliseconds=500),
    dead_letter=unusable.name,
)
async def on_readings(batch: Batch[Reading], *, client: Client) -> None:
    """Store the newest reading of each sensor; every entry has a verdict of its own."""
    newest: dict[str, Reading] = {}
    for entry in batch:
        if entry.data.degrees < -273.15:
            entry.drop()  # to the dead letter topic, alone
        else:
            newest[entry.data.sensor] = entry.data
    try:
        await client.state("statestore").set_many(newest)
    except BulkStateError as error:
        for entry in batch:
            if entry.data.sensor in error.failed and entry.status is None:
                entry.retry()  # comes again, without those that were stored
    print(f"{len(batch)} readings of {len(newest)} sensors", flush=True)


# --8<-- [end:subscribe]


# --8<-- [start:read]
@app.invoke
async def latest(sensors: list[str], *, client: Client) -> dict[str, float]:
    """Read many keys with one request; an unknown sensor is left out."""
    found = await client.state("statestore").get_many(sensors, Reading)
    return {sensor: item.value.degrees for sensor, item in found.items() if item}


# --8<-- [end:read]


@app.topic(unusable)
async def on_unusable(reading: Reading) -> None:
    print(f"'{reading.sensor}' is broken: {reading.degrees}", flush=True)
