"""The workers of an app: what one of them leaves, another one takes."""

import asyncio

from daprflow.sidecar.engine import Work
from daprflow.sidecar.workflows.host import Host, WorkStream
from daprflow.sidecar.workflows.instance import Instance
from daprflow.sidecar.workflows.items import TurnItem
from daprflow.sidecar.workflows.store import Row

COUNT = 3


def turn(number: int) -> TurnItem:
    """Return the first turn of an instance."""
    row = Row(number, "app1", f"i{number}", 0, None, None)
    return TurnItem(Instance(row), f"t{number}")


async def test_what_a_worker_was_told_of_when_it_left_goes_to_another() -> None:
    """A worker that leaves between the news and its look at them, as one whose connection breaks,
    does not leave the rest waiting for the next piece of work.
    """
    work = Work()
    host = Host("app1", work, lambda _item, _stream: True, lambda _host: None)
    first, second = (WorkStream(stateful=False, limit=-1) for _ in range(2))
    host.attach(first)
    host.attach(second)
    leaving = asyncio.create_task(host.next(first))
    staying = asyncio.create_task(host.next(second))
    await asyncio.sleep(0)
    assert (first.news, second.news) != (None, None)

    items = [turn(number) for number in range(COUNT)]
    host.offer(items[0])  # the first worker is told, and does not come to look
    leaving.cancel()
    await asyncio.wait({leaving})
    assert leaving.cancelled()
    host.detach(first)

    async with asyncio.timeout(5):
        assert b"i0" in await staying
        for item in items[1:]:
            host.offer(item)
            assert item.instance_id.encode() in await host.next(second)
    for item in items:
        assert item.stream is second
        host.finish(item)
    assert work.count == 0
