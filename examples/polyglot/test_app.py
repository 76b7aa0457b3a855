import shutil
import signal
from pathlib import Path

import pytest
from starlette.exceptions import HTTPException

from daprflow import InvocationError
from daprflow.testing import TestSidecar
from examples.polyglot.counter import Dish, Order, Served, app, order, orders, recipe, served
from tests.helpers.cli_run import Run, finish
from tests.helpers.own_ports import free_port

HERE = Path(__file__).parent


async def kitchen(*, dish: str) -> Dish:
    """Answer for the app in Node."""
    if dish != "soup":
        raise HTTPException(404)
    return Dish(12)


async def test_what_the_kitchen_has_is_ordered() -> None:
    """The counter says how long it takes, and publishes the order."""
    async with TestSidecar(app) as dapr:
        dapr.fake(recipe, kitchen)
        assert await dapr.invoke(order, Order("7", "soup")) == "soup in 12 minutes"
        assert dapr.published(orders) == [Order("7", "soup")]


async def test_what_it_does_not_have_is_not() -> None:
    """A 404 of the kitchen is one of the counter, and nothing is published."""
    async with TestSidecar(app) as dapr:
        dapr.fake(recipe, kitchen)
        with pytest.raises(InvocationError) as failed:
            await dapr.invoke(order, Order("8", "cake"))
        assert failed.value.status == 404
        assert dapr.published(orders) == []


async def test_what_was_served_is_kept() -> None:
    """An event as the kitchen publishes it has the types of the counter."""
    async with TestSidecar(app) as dapr:
        await dapr.publish(served, Served("7", "soup", 2))
        assert await dapr.saved("statestore", Served) == {"7": Served("7", "soup", 2)}


@pytest.mark.sockets
@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node on this machine")
def test_both_languages_call_and_hear_each_other(tmp_path: Path) -> None:
    """Python asks Node, Node gets the event, asks Python and publishes, and Python gets that."""
    for name in ("counter.py", "kitchen.mjs"):
        shutil.copy(HERE / name, tmp_path)
    template = (HERE / "dapr.yaml").read_text(encoding="utf-8")
    (tmp_path / "dapr.yaml").write_text(template.replace("8095", str(free_port())))
    with Run(tmp_path, "run", "-f", ".", "--sidecar", "embedded", "--ephemeral") as run:
        assert "all 2 healthy in" in run.until("healthy")
        taken = finish(tmp_path, "invoke", "counter", "order", '{"id":"7","dish":"soup"}')
        assert taken == (0, "soup in 12 minutes")
        assert "kitchen | soup for table 2" in run.until("for table")
        assert "order 7, soup, is on table 2" in run.until("is on table")
        code, text = finish(tmp_path, "invoke", "counter", "order", '{"id":"8","dish":"cake"}')
        assert (code != 0, "no cake today" in text) == (True, True)
        count = finish(tmp_path, "invoke", "kitchen", "served", "--verb", "GET")
        assert count == (0, '{"soup":1}')
        run.send(signal.SIGINT)
        assert run.ended() == 0
        assert run.all_gone()
        assert "ERROR" not in run.text
