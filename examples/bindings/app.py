"""Reports are written on schedule and on request: a cron, a queue, and a folder, by bindings."""

import msgspec

from daprflow import BindingEvent, Client, DaprFlow


class Request(msgspec.Struct):
    name: str


app = DaprFlow("bindings-example")


@app.cron("write-report", "@every 5s")
async def write_report(*, client: Client) -> None:
    await client.bind("reports", "create", "all is well", metadata={"fileName": "report.txt"})
    print("wrote report.txt", flush=True)


@app.binding("requests")
async def on_request(event: BindingEvent[Request], *, client: Client) -> None:
    file = f"{event.data.name}.txt"
    await client.bind("reports", "create", f"for {event.data.name}", metadata={"fileName": file})
    print(f"wrote {file}", flush=True)


@app.invoke
async def ask(request: Request, *, client: Client) -> str:
    """Put a request into the queue, as any program with access to it may."""
    await client.bind("requests", "create", request)
    return f"asked for {request.name}"


@app.invoke("GET", "/reports/{name}")
async def report(*, name: str, client: Client) -> str:
    found = await client.bind("reports", "get", metadata={"fileName": f"{name}.txt"})
    return found.decode()
