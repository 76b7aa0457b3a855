"""A request for leave that waits for a manager."""

from datetime import timedelta

import msgspec

from daprflow import DaprFlow, ExternalEvent, WorkflowContext

app = DaprFlow("leave-example")


class Request(msgspec.Struct):
    who: str
    days: int


decided = ExternalEvent("decided", bool)


@app.activity
async def days_left(who: str) -> int:
    print(f"days left of {who}")
    return 30 if who else 0


@app.activity
async def book(request: Request) -> str:
    if request.days > 20:
        raise ValueError("nobody may be away for so long")
    return f"{request.who} is away for {request.days} days"


@app.workflow
async def leave(ctx: WorkflowContext, request: Request) -> str:
    if await ctx.call(days_left, request.who) < request.days:
        return "refused"
    ctx.status("waits for the manager")
    if not await ctx.wait(decided, timeout=timedelta(days=7), default=False):
        return "refused"
    return await ctx.call(book, request)
