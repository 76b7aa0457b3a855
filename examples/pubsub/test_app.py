from datetime import timedelta

import pytest

from daprflow import Status
from daprflow.testing import TestSidecar
from examples.pubsub.app import Metric, Order, app, metrics, orders, unusable


async def test_a_rule_routes_by_content(capsys: pytest.CaptureFixture[str]) -> None:
    """What a rule fits goes to its handler, anything else to the one without a rule."""
    async with TestSidecar(app) as dapr:
        assert await dapr.publish(orders, Order("1", 5), type="order.vip") is Status.SUCCESS
        assert await dapr.publish(orders, Order("2", 5)) is Status.SUCCESS
    vip, usual = capsys.readouterr().out.splitlines()
    assert vip.endswith("order 1 is from a good customer")
    assert usual == "order 2: 5"


async def test_a_negative_order_ends_in_the_dead_letter_topic() -> None:
    """A dropped event goes to the dead letter topic, where another handler takes it."""
    async with TestSidecar(app) as dapr:
        assert await dapr.publish(orders, Order("1", -5)) is Status.DROP
        assert dapr.published(unusable) == [Order("1", -5)]


async def test_an_unpriced_order_is_tried_again() -> None:
    """Retry asks for another delivery."""
    async with TestSidecar(app) as dapr:
        assert await dapr.publish(orders, Order("1", 0)) is Status.RETRY


async def test_what_never_succeeds_is_given_up() -> None:
    """After ten attempts, with growing pauses between them, an event is a dead letter, too."""
    async with TestSidecar(app) as dapr:
        await dapr.publish(orders, Order("1", 0))
        await dapr.advance(timedelta(minutes=1))
        assert dapr.published(unusable) == []
        await dapr.advance(timedelta(minutes=10))
        assert dapr.published(unusable) == [Order("1", 0)]


async def test_metrics_arrive_in_batches() -> None:
    """A good entry of a batch is accepted, a bad one given up, alone."""
    async with TestSidecar(app) as dapr:
        assert await dapr.publish(metrics, Metric("load", 0.5)) is Status.SUCCESS
        assert await dapr.publish(metrics, Metric("load", -0.5)) is Status.DROP
