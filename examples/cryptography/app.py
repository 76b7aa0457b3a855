"""Keeps notes that only whoever may use the key can read."""

import msgspec

from daprflow import Client, DaprFlow

app = DaprFlow("notes")


class Note(msgspec.Struct):
    name: str
    text: str


@app.invoke
async def write(note: Note, *, client: Client) -> None:
    sealed = await client.encrypt("vault", note.text.encode(), key="notes", algorithm="AES")
    await client.state("statestore").set(note.name, sealed.hex())


@app.invoke
async def read(name: str, *, client: Client) -> str:
    item = await client.state("statestore").get(name, str)
    if item is None:
        return "no such note"
    return (await client.decrypt("vault", bytes.fromhex(item.value))).decode()
