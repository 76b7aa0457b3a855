"""The flaky dependency: tells prices while it is well, and can be made ill to see what follows."""

from dataclasses import dataclass

from starlette.exceptions import HTTPException

from daprflow import DaprFlow


@dataclass
class Health:
    well: bool = True
    asked: int = 0
    """How often it was asked for a price since it fell ill or got well."""


app = DaprFlow("pricing")


@app.provide
def health() -> Health:
    return Health()


@app.invoke
async def price(sku: str, *, health: Health) -> int:
    health.asked += 1
    if not health.well:
        raise HTTPException(503, f"no price of '{sku}' now")
    return len(sku) * 100


@app.invoke
async def fall_ill(*, health: Health) -> str:
    health.well, health.asked = False, 0
    return "ill"


@app.invoke
async def get_well(*, health: Health) -> str:
    health.well, health.asked = True, 0
    return "well"


@app.invoke
async def asked(*, health: Health) -> int:
    return health.asked
