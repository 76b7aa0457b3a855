"""Counts, every evening, the parcels that have moved."""

from daprflow import Client, Router

STORE = "statestore"
TODAY = "moved-today"

reports = Router()


async def note(parcel: str, client: Client) -> None:
    def add(moved: list[str] | None) -> list[str]:
        return sorted({*(moved or ()), parcel})

    await client.state(STORE).update(TODAY, list[str], add)


@reports.job("report", schedule="0 0 18 * * *")
async def report(*, client: Client) -> None:
    item = await client.state(STORE).get(TODAY, list[str])
    if item is None:
        print("no parcel has moved today")
        return
    await client.state(STORE).delete(TODAY, etag=item.etag)
    print(f"moved today: {', '.join(item.value)}")
