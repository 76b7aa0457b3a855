"""Two apps that ``dapr run`` starts apart, with the program that ``daprflow shim`` wrote."""

import sys
from pathlib import Path

import pytest

from daprflow import Status
from daprflow.testing import TestSidecar
from examples.dapr_program.app import Order, app, billed, orders, total
from tests.helpers.cli_run import Run, finish
from tests.helpers.own_ports import free_port

FOLDER = Path(__file__).parent


async def test_an_order_is_billed() -> None:
    """The service itself is tested like any other."""
    billed.clear()
    async with TestSidecar(app) as dapr:
        assert await dapr.publish(orders, Order("1", 5)) is Status.SUCCESS
        assert await dapr.invoke(total) == 5


@pytest.mark.sockets
def test_a_script_of_another_folder_reaches_the_service(tmp_path: Path) -> None:
    """``dapr run`` in two folders: the event arrives, and the method answers."""
    assert finish(tmp_path, "shim", "bin")[0] == 0
    dapr = (str(tmp_path / "bin" / "dapr"), "run")
    port = str(free_port())
    serve = (sys.executable, "-m", "uvicorn", "app:app", "--port", port)
    ports = ("--dapr-http-port", str(free_port()), "--app-port", port)
    billing = ("--app-id", "billing", *ports, "--", *serve)
    shop = ("--app-id", "shop", "--", sys.executable, str(FOLDER / "shop.py"))
    home = {"HOME": str(tmp_path)}
    with Run(FOLDER, *billing, program=dapr, env=home) as service:
        service.until("You're up and running!")
        with Run(tmp_path, *shop, program=dapr, env=home) as script:
            assert script.ended() == 0
            assert any(line.startswith("== APP == total ") for line in script.lines), script.text
        service.until("== APP == billed 7")
