"""A cron binding writes a report through an output binding, here into a folder."""

from daprflow import Client, DaprFlow

app = DaprFlow("bindings-example")


@app.cron("write-report", "@every 5s")
async def write_report(*, client: Client) -> None:
    await client.bind("reports", "create", "all is well", metadata={"fileName": "report.txt"})
    print("wrote report.txt")


@app.invoke
async def report(*, client: Client) -> str:
    return (await client.bind("reports", "get", metadata={"fileName": "report.txt"})).decode()
