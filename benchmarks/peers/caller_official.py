"""Peer: Dapr's own asynchronous client, which calls a sidecar as often as it can."""

import json

import uvloop
from dapr.aio.clients import DaprClient

from benchmarks.peers.rates import take_orders

ORDER = {"id": "o-1", "total": 120}
JSON = "application/json"


async def main() -> None:
    """Make the calls as its documentation shows them; it knows strings and bytes."""
    async with DaprClient() as client:

        async def get() -> object:
            return json.loads((await client.get_state("bench", "key")).data)

        async def save() -> None:
            value = json.dumps(ORDER)
            await client.save_state("bench", "key", value, state_metadata={"contentType": JSON})

        await save()
        await take_orders(
            {
                "get": get,
                "set": save,
                "publish": lambda: client.publish_event(
                    "events", "orders", json.dumps(ORDER), data_content_type=JSON
                ),
                "invoke": lambda: client.invoke_method(
                    "bench", "quote", data=json.dumps(ORDER), content_type=JSON, http_verb="POST"
                ),
            }
        )


if __name__ == "__main__":
    uvloop.run(main())
