from daprflow.testing import TestSidecar
from examples.metrics.app import Order, app, orders
from tests.helpers.asgi import call_asgi


async def test_a_scrape_has_the_apps_counts_and_daprflows() -> None:
    """Both stand on one page."""
    async with TestSidecar(app) as dapr:
        await dapr.publish(orders, Order("1", 250))
        page = (await call_asgi(app, "GET", "/metrics")).body.decode()
    assert "shop_revenue_total 250.0" in page
    assert (
        'daprflow_deliveries_total{block="topic",handler="on_order",name="pubsub/orders",'
        'verdict="success"} 1.0' in page
    )
