"""A cron binding writes a report through an output binding, here into a folder."""

from daprflow import Client, DaprFlow

app = DaprFlow("bindings-example")


@app.cron("nightly-report", "0 0 3 * * *")
async def write_report(*, client: Client) -> None:
    await client.bind("reports", "create", "all is well", metadata={"fileName": "report.txt"})


@app.invoke
async def report(*, client: Client) -> str:
    return (await client.bind("reports", "get", metadata={"fileName": "report.txt"})).decode()
