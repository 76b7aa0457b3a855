"""What was sold: counted as it happens, and mailed to the owners every morning."""

from datetime import UTC, datetime

import msgspec

from daprflow import Client, DaprFlow

from .contracts import DEAD, STORE, Mail, Outcome, ended, mails

app = DaprFlow("reports")


class Sales(msgspec.Struct):
    paid: dict[str, int] = {}
    cancelled: set[str] = set()


class Figures(msgspec.Struct):
    fulfilled: int
    cancelled: int
    income: int


async def counted(client: Client) -> Figures:
    found = await client.state(STORE).get("sales", Sales)
    sales = found.value if found else Sales()
    return Figures(len(sales.paid), len(sales.cancelled), sum(sales.paid.values()))


@app.topic(ended, dead_letter=DEAD)
async def on_ended(end: Outcome, *, client: Client) -> None:
    def added(before: Sales | None) -> Sales:
        sales = before or Sales()
        if end.state == "fulfilled":
            sales.paid[end.order] = end.paid  # by order: one that comes twice counts once
        else:
            sales.cancelled.add(end.order)
        return sales

    await client.state(STORE).update("sales", Sales, added)


@app.job("morning-report", schedule="0 0 6 * * *")
async def morning_report(*, client: Client) -> None:
    so_far = await counted(client)
    text = f"{so_far.fulfilled} fulfilled, {so_far.cancelled} cancelled, {so_far.income} earned"
    today = datetime.now(UTC).date()  # a tick that comes twice makes one mail
    await client.publish(mails, Mail(f"report-{today}", "owners", text))


@app.invoke
async def figures(*, client: Client) -> Figures:
    return await counted(client)
