from datetime import UTC, datetime

import pytest

from daprflow import Endpoint, InvocationError, Status, Topic
from daprflow.testing import TestSidecar
from examples.payloads.app import (
    Address,
    Order,
    Parcel,
    app,
    dataclasses,
    orders,
    struct,
    typed_dict,
    unread,
)

ORDER = Order("7", datetime(2026, 1, 1, tzinfo=UTC))


async def test_payloads_arrive_as_annotated() -> None:
    """Structs, lists of dataclasses, a TypedDict or None, and bytes that nobody looks at."""
    async with TestSidecar(app) as dapr:
        assert await dapr.invoke(struct, ORDER) == "7 in 2026"
        assert await dapr.invoke(dataclasses, [Address("Ulm"), Address("Bonn")]) == ["Bonn", "Ulm"]
        assert await dapr.invoke(typed_dict, Parcel(weight=1.5)) == 1.5
        assert await dapr.invoke(typed_dict, None) == 0.0
        assert await dapr.invoke(unread, b"abc") == b"cba"
        assert await dapr.publish(orders, ORDER) is Status.SUCCESS


async def test_what_does_not_fit_is_refused() -> None:
    """A caller gets 400, an event goes to the dead letter topic."""
    async with TestSidecar(app) as dapr:
        with pytest.raises(InvocationError) as refused:
            await dapr.invoke(Endpoint("payloads-example", "struct", dict, str), {"id": 7})
        assert refused.value.status == 400
        assert await dapr.publish(Topic("pubsub", "orders", dict), {"id": 7}) is Status.DROP
