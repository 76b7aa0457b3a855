"""Follow configuration while the app runs: a handler, a value read once, and a copy at hand."""

# --8<-- [start:handler]
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

import msgspec

from daprflow import Client, ConfigItem, DaprFlow


class Limits(msgspec.Struct, frozen=True):
    """How much may be ordered."""

    daily: Annotated[int, msgspec.Meta(gt=0)]


@dataclass
class Rules:
    """What the app goes by at the moment."""

    limits: Limits
    discount: int = 0


app = DaprFlow("shop")


@app.provide
async def rules(client: Client) -> AsyncIterator[Rules]:
    """Begin with what the store says; the handler below keeps it up to date."""
    found = await client.configuration("settings").get("discount", int, default=0)
    yield Rules(Limits(daily=1), found.value)


@app.configuration("settings", "limits", default=Limits(daily=1))
async def on_limits(item: ConfigItem[Limits], *, rules: Rules) -> None:
    """Take the limits there are at start-up, and every change of them."""
    rules.limits = item.value
    print(f"limits, version '{item.version}': {item.value.daily} a day")


# --8<-- [end:handler]


# --8<-- [start:once]
@app.invoke
async def greeting(*, client: Client) -> str:
    """Answer with a text that is read at this moment, from the first store that has it."""
    texts = client.configuration("overrides", "settings")
    item = await texts.get("greeting", str, default="Hello")
    return item.value


# --8<-- [end:once]


# --8<-- [start:live]
@app.invoke
async def countdown(*, client: Client) -> list[int]:
    """Do something for a while, with a copy at hand that follows the store."""
    async with client.configuration("settings").live("speed") as settings:
        return [settings.get("speed", int, default=1) for _ in range(3)]


@app.invoke
async def allowed(wanted: int, *, rules: Rules) -> bool:
    """Tell whether so much may be ordered."""
    return wanted <= rules.limits.daily


# --8<-- [end:live]
