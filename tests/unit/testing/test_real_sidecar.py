"""What a test against a real runtime cannot ask, as far as no runtime is needed to say so."""

from pathlib import Path

import pytest

from daprflow import DaprFlow, Topic
from daprflow.settings import Settings
from daprflow.testing.real_services import Services
from daprflow.testing.real_sidecar import RealSidecar

orders = Topic("pubsub", "orders", int)
dead = Topic("pubsub", "orders-dead", int)


def real(app: DaprFlow) -> RealSidecar:
    """A sidecar that is not started."""
    services = Services(Path(), "127.0.0.1:1", "127.0.0.1:2")
    return RealSidecar(app, services=services, skip=pytest.skip)


def an_app() -> DaprFlow:
    """An app with a topic that has a dead letter topic."""
    app = DaprFlow("shop", settings=Settings())

    @app.topic(orders, dead_letter=dead.name)
    async def on_order(order: int) -> None:
        del order

    return app


def test_a_test_that_looks_for_dead_letters_is_skipped() -> None:
    """The runtime publishes them itself, so the test would see none and fail for nothing."""
    with pytest.raises(pytest.skip.Exception, match="dead letter topic 'orders-dead'"):
        real(an_app()).published(dead)


def test_other_topics_are_looked_at() -> None:
    """Nothing was published on this one."""
    assert real(an_app()).published(orders) == []
