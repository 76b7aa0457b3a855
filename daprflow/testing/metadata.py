"""Waiting in tests for what a sidecar's metadata shows: components, subscriptions, actors."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from daprflow.client import Client
from daprflow.errors import SidecarUnavailable
from daprflow.protocol.metadata import Metadata

PAUSE = 0.05
WITHIN = timedelta(seconds=30)


async def until_metadata(
    client: Client, shows: Callable[[Metadata], bool], /, *, within: timedelta = WITHIN
) -> Metadata:
    """Wait until a sidecar's metadata show what they should, and return them.

    A real runtime loads components, reads subscriptions and joins placement by and by; this is how
    a test knows that it is so far: ``lambda found: any(each.topic == "orders" for each in
    found.subscriptions)``.

    Args:
        client: of that sidecar.
        shows: tells whether it is so far.
        within: how long to wait.

    Raises:
        TimeoutError: it was not; the text says what the metadata showed last.

    Example:
        ```python
        await until_metadata(client, lambda found: len(found.subscriptions) == 2)
        ```
    """
    last: Metadata | None = None
    limit = asyncio.timeout(within.total_seconds())
    try:
        async with limit:
            while True:
                try:
                    last = await client.metadata()
                except SidecarUnavailable:
                    last = None
                if last is not None and shows(last):
                    return last
                await asyncio.sleep(PAUSE)
    except TimeoutError:
        if not limit.expired():
            raise
        raise TimeoutError(
            f"the sidecar's metadata did not show it within {within.total_seconds():g} s; "
            f"{_told(last)}"
        ) from None


def _told(found: Metadata | None) -> str:
    if found is None:
        return "it did not answer"
    components = ", ".join(each.name for each in found.components) or "none"
    topics = ", ".join(f"{s.pubsubname}/{s.topic}" for s in found.subscriptions) or "none"
    actors = ", ".join(each.type for each in found.actors) or "none"
    return f"components: {components}; subscriptions: {topics}; actors: {actors}"
