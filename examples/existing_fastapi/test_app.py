import httpx2

from daprflow import Status
from daprflow.testing import TestSidecar
from examples.existing_fastapi.app import Order, app, orders, service


def browser() -> httpx2.AsyncClient:
    """Return what calls the application's own routes."""
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://shop")


async def test_an_order_goes_from_a_route_through_the_topic_to_another_route() -> None:
    """FastAPI's route publishes, the installed handler stores, and another route reads."""
    async with TestSidecar(service, host=app) as dapr, browser() as http:
        answer = await http.post("/orders", json={"id": "7", "total": 5})
        assert answer.status_code == 202
        await dapr.settle()
        assert (await http.get("/orders/7")).json() == {"id": "7", "total": 5}
        assert (await http.get("/audit")).json() == ["7"]


async def test_both_sides_validate_with_the_same_model() -> None:
    """A total of 0 is a 422 of FastAPI's, and an event with it is a dead letter."""
    async with TestSidecar(service, host=app) as dapr, browser() as http:
        assert (await http.post("/orders", json={"id": "8", "total": 0})).status_code == 422
        unusable = Order.model_construct(id="8", total=0)
        assert await dapr.publish(orders, unusable) is Status.DROP
        assert (await http.get("/orders/8")).status_code == 404


async def test_the_application_stays_what_it_was() -> None:
    """Its documentation has its own routes alone, and its errors are its own."""
    async with TestSidecar(service, host=app), browser() as http:
        paths = (await http.get("/openapi.json")).json()["paths"]
        assert sorted(paths) == ["/audit", "/orders", "/orders/{order_id}"]
        assert (await http.get("/nowhere")).json() == {"detail": "Not Found"}
