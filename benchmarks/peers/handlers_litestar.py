"""Peer: as many plain Litestar routes as ``HANDLERS`` says."""

import os
from typing import Any

from litestar import Litestar, post

from benchmarks.peers.litestar_route import Event


def _route(number: int) -> Any:
    @post(f"/on-order-{number}", status_code=200)  # type: ignore[untyped-decorator,unused-ignore]
    async def on_order(data: Event) -> dict[str, str]:
        int(data.data.id)
        return {"status": "SUCCESS"}

    return on_order


app = Litestar([_route(each) for each in range(int(os.environ["HANDLERS"]))], openapi_config=None)
