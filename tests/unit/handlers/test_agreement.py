"""What a handler takes, compared with what its topic carries."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypedDict

import msgspec
import pytest

from daprflow import AppDefinitionError, DaprFlow, Topic
from daprflow.handlers.agreement import contradicts


class Order(msgspec.Struct):
    id: str


class Vip(Order):
    discount: int


class Parcel(TypedDict):
    id: str


@pytest.mark.parametrize(
    ("wanted", "carried"),
    [
        (list[str], list[str]),
        (list[str], None),
        (bytes, list[int]),
        (str, Order),
        (Any, Order),
        (object, Order),
        (Order, Vip),
        (Order | None, Order),
        (Order | int, int),
        (Sequence[int], list[int]),
        (list, list[int]),
        (list[Any], list[int]),
        (list[float], list[int]),
        (tuple[int, ...], tuple[int, int]),
        (Annotated[int, msgspec.Meta(ge=0)], int),
        (Mapping[str, Any], dict[str, int]),
        (dict[str, Any], Parcel),
        (Literal["a"], str),
        (list[None], list[None]),
    ],
)
def test_these_agree(wanted: Any, carried: Any) -> None:
    """The same, wider, raw, or nothing that can be told."""
    assert not contradicts(wanted, carried)


@pytest.mark.parametrize(
    ("wanted", "carried"),
    [
        (list[str], list[int]),
        (dict[str, list[int]], dict[str, list[str]]),
        (tuple[int], tuple[int, int]),
        (Order, list[Order]),
        (list[Order], Order),
        (Vip, Order),
        (Order, Order | None),
        (Order | None, int),
        (int, Order),
        (Annotated[int, 1], Order),
        (Parcel, Order),
        (Order, dict[str, Any]),
    ],
)
def test_these_contradict(wanted: Any, carried: Any) -> None:
    """Another type, at any depth."""
    assert contradicts(wanted, carried)


def test_a_generic_payload_is_compared_at_freeze() -> None:
    """The report names both types."""
    app = DaprFlow("shop")

    async def take(names: list[str]) -> None: ...

    app.topic(Topic("p", "t", list[int]))(take)  # type: ignore[arg-type]  # the checker sees it, too
    with pytest.raises(AppDefinitionError, match=r"takes list\[str\].* carries list\[int\]"):
        app.freeze()


def test_a_topic_whose_payload_is_text_is_reported() -> None:
    """A type in quotes is none."""
    app = DaprFlow("shop")

    async def take(order: Order) -> None: ...

    app.topic(Topic("p", "t", "Order"))(take)  # type: ignore[arg-type]  # the checker sees it, too
    with pytest.raises(AppDefinitionError, match="payload is the text 'Order'; give the Topic the"):
        app.freeze()
