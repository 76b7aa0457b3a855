"""Keeps parcels from abroad until their duty is paid."""

from datetime import timedelta

import msgspec

from daprflow import Client, RetryPolicy, Router, WorkflowContext

from .contracts import Goods, Scan, declarations, duty, paid, scans


class Bill(msgspec.Struct):
    parcel: str
    duty: int


customs = Router()


@customs.activity
async def move(scan: Scan, *, client: Client) -> None:
    await client.publish(scans, scan)


@customs.activity
async def assess(goods: Goods, *, client: Client) -> int:
    return await client.invoke(duty, goods)


@customs.activity
async def demand(bill: Bill) -> None:
    print(f"{bill.parcel}: please pay {bill.duty}")


@customs.workflow
async def clear(ctx: WorkflowContext, goods: Goods) -> str:
    await ctx.call(move, Scan(goods.parcel, "customs"))
    to_pay = await ctx.call(assess, goods, retry=RetryPolicy(attempts=10))
    await ctx.call(demand, Bill(goods.parcel, to_pay))
    if to_pay and not await ctx.wait(paid, timeout=timedelta(days=3), default=False):
        await ctx.call(move, Scan(goods.parcel, "sender"))
        return "sent back"
    await ctx.call(move, Scan(goods.parcel, "depot"))
    return "cleared"


@customs.topic(declarations, dead_letter="declarations-unread")
async def on_declaration(goods: Goods, *, client: Client) -> None:
    await client.start(clear, goods, id=goods.parcel, attach=True)


@customs.invoke
async def pay(parcel: str, *, client: Client) -> None:
    await client.workflow(clear, parcel).send(paid, data=True)
