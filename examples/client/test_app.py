import httpx2
import pytest

from daprflow import Client, NotFound, SidecarUnavailable
from daprflow.settings import Settings
from daprflow.testing import TestSidecar
from examples.client import script
from examples.client.app import Order, app, import_orders, orders, setting
from examples.client.transport import HttpxTransport
from tests.helpers.small_sidecar import SmallSidecar, error


async def test_orders_are_published_at_once() -> None:
    """All arrive, with the type they were given."""
    given = [Order("o1", "ann"), Order("o2", "bob")]
    async with TestSidecar(app) as dapr:
        assert await dapr.invoke(import_orders, given) == []
        assert dapr.published(orders) == given


async def test_an_unknown_store_has_a_code() -> None:
    """The error says by its code what is missing."""
    async with TestSidecar(app, secrets={"other": {"a": "b"}}) as dapr:
        assert await dapr.invoke(setting, "dsn") == "none: ERR_SECRET_STORE_NOT_FOUND"


def test_a_script_without_a_sidecar_says_where_it_looked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The text names the address and the variables."""
    monkeypatch.setenv("DAPR_HTTP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("DAPR_HEALTH_TIMEOUT", "0.01")
    script.main()
    said = capsys.readouterr().out
    assert "http://127.0.0.1:1" in said
    assert "DAPR_HTTP_PORT" in said


async def test_httpx_carries_calls() -> None:
    """Names arrive escaped once, errors as errors, and a failing connection as such."""
    sidecar = SmallSidecar()
    sidecar.answers["/v1.0/secrets/v/a"] = error(401, "ERR_SECRET_STORE_NOT_FOUND", "no v")
    over = httpx2.ASGITransport(app=sidecar)
    async with (
        httpx2.AsyncClient(transport=over, base_url="http://sidecar") as http,
        Client(transport=HttpxTransport(http)) as client,
    ):
        await client.state("s").set("a/b c", 1)
        item = await client.state("s").get("a/b c", int)
        with pytest.raises(NotFound):
            await client.secret("v", "a")
    assert item is not None
    assert item.value == 1

    async with httpx2.AsyncClient(base_url="http://127.0.0.1:1") as http:
        client = Client(Settings(health_timeout=0.01), transport=HttpxTransport(http))
        with pytest.raises(SidecarUnavailable, match=r"http://127.0.0.1:1\b"):
            await client.open()
