"""Mistakes in an app's definition: each is found at freeze, with handler and place."""

import functools
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict

import msgspec
import pytest

from daprflow import (
    AppDefinitionError,
    Batch,
    BindingEvent,
    Client,
    CloudEvent,
    DaprFlow,
    Router,
    Status,
    Topic,
)

if TYPE_CHECKING:
    from fractions import Fraction


class Order(msgspec.Struct):
    id: str


class Receipt(msgspec.Struct):
    id: str


class Opaque:
    """No JSON becomes this."""


orders = Topic("pubsub", "orders", Order)


def problems_of(*declarations: Callable[[DaprFlow], object]) -> list[str]:
    """What freezing an app with these declarations reports."""
    app = DaprFlow("shop")
    for declare in declarations:
        declare(app)
    with pytest.raises(AppDefinitionError) as caught:
        app.freeze()
    for problem in caught.value.problems:
        assert f"{__name__}:" in problem
    return list(caught.value.problems)


def handler(function: Callable[..., Any], **options: Any) -> Callable[[DaprFlow], object]:
    """Declare ``function`` for the topic of orders."""
    return lambda app: app.topic("pubsub", "orders", **options)(function)


async def returns_order(order: Order) -> Order:
    return order


async def returns_union(order: Order) -> Status | int:
    return 1


def returns_text(order: Order) -> str:
    return "paid"


async def yields(order: Order) -> AsyncIterator[int]:
    yield 1


def yields_plainly(order: Order) -> Iterator[int]:
    yield 1


async def two_payloads(order: Order, other: Order) -> None: ...


async def variadic(*orders: Order) -> None: ...


async def keywords(**orders: Order) -> None: ...


async def untyped(order) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001 - the point
    ...


async def untyped_injection(order: Order, *, client) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001 - the point
    ...


async def hidden(value: "Fraction") -> None: ...


async def broken(value: object) -> None: ...


broken.__annotations__["value"] = "Order["


async def opaque(value: Opaque) -> None: ...


async def opaque_within(value: CloudEvent[dict[str, list[Opaque]]]) -> None: ...


async def injected_first(client: Client) -> None: ...


async def binding_envelope(value: BindingEvent[Order]) -> None: ...


async def fine(order: Order) -> None: ...


async def also_fine(order: Order) -> None: ...


async def batch(orders: Batch[Order]) -> None: ...


@pytest.mark.row("FA-43")
@pytest.mark.parametrize(
    ("function", "says"),
    [
        (returns_order, "returns Order; return None or a Status, or raise Retry or Drop"),
        (returns_union, "returns "),
        (returns_text, "returns str"),
        (yields, "is a generator"),
        (yields_plainly, "is a generator"),
        (two_payloads, "takes 'other' after the payload"),
        (variadic, "takes '*orders: "),
        (keywords, "takes '**orders: "),
        (untyped, "payload 'order' without a type"),
        (untyped_injection, "parameter 'client' without a type"),
        (hidden, "cannot be resolved: name 'Fraction' is not defined; import the type at run"),
        (broken, "cannot be resolved: SyntaxError"),
        (opaque, "takes 'value: Opaque', which no JSON fits: 'Opaque' is no msgspec Struct"),
        (injected_first, "what is injected comes after '*'"),
        (opaque_within, "'Opaque' is no msgspec Struct"),
        (binding_envelope, "takes a BindingEvent, which topic handlers are not given"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_topic_handler_that_cannot_work_is_refused(
    function: Callable[..., Any], says: str
) -> None:
    """The message has the handler's name, its place, and what to do."""
    [problem] = problems_of(handler(function))
    assert problem.startswith(f"topic handler '{function.__name__}' ({__name__}:")
    assert says in problem


def test_a_composed_payload_is_not_taken_for_an_injection() -> None:
    """The next step is told where it may be one, a class, and not for a union of Structs."""

    async def either(value: Order | Receipt) -> None: ...

    [problem] = problems_of(handler(either))
    assert "all Struct types must be tagged" in problem
    assert "injected" not in problem


def test_the_line_is_the_one_of_the_handler() -> None:
    """The place is module and line of the function, decorators included."""
    [problem] = problems_of(handler(returns_text))
    assert f"({__name__}:{returns_text.__code__.co_firstlineno})" in problem


async def literal(order: Order) -> Literal[Status.RETRY, Status.DROP]:
    return Status.RETRY


async def optional(order: Order) -> Status | None:
    return None


async def open_payload(order: Any) -> Status:
    return Status.SUCCESS


def plain(order: Order) -> None: ...


@pytest.mark.parametrize("function", [literal, optional, open_payload, plain, fine, batch])
def test_right_handlers_are_accepted(function: Callable[..., Any]) -> None:
    """Every allowed annotation freezes."""
    app = DaprFlow("shop")
    handler(function)(app)
    app.freeze()


def test_the_line_is_not_that_of_a_decorator_in_between() -> None:
    """A function that another decorator wrapped is still found where it is written."""

    @functools.wraps(returns_text)
    def wrapped(order: Order) -> str:
        return returns_text(order)

    [problem] = problems_of(handler(wrapped))
    assert f"({__name__}:{returns_text.__code__.co_firstlineno})" in problem


@pytest.mark.row("FA-43")
def test_all_problems_are_reported_together() -> None:
    """One error names everything that is wrong, and its text counts them."""
    found = problems_of(
        handler(returns_text),
        lambda app: app.binding("in")(opaque),
        lambda app: app.cron("tick", "often")(fine),
        lambda app: app.provide(untyped),
    )
    assert len(found) == 4
    assert str(AppDefinitionError(found)).startswith("4 problems in the app's definition:\n- ")


@pytest.mark.row("FA-43")
@pytest.mark.parametrize(
    ("declarations", "says"),
    [
        ((handler(fine), handler(also_fine)), "without 'match', and so does"),
        (
            (handler(fine, match="event.x"), handler(also_fine, match="event.x")),
            "can never run: topic handler 'fine'",
        ),
        (
            (handler(fine, match=" true "), handler(also_fine)),
            "topic handler 'also_fine'",
        ),
        (
            (handler(fine, match="true"), handler(also_fine, match="event.x")),
            "matches every event; leave its 'match' out",
        ),
        ((handler(fine, match="event.type =="),), "has a bad 'match'"),
        ((handler(fine, match=" "),), "has an empty 'match'"),
        ((handler(fine), handler(batch, match="event.x")), "either way, not both"),
        ((handler(fine, max_messages=5),), "need a payload of type Batch[...]"),
        ((handler(batch, max_messages=0),), "it must be at least 1"),
        ((handler(batch, max_wait=timedelta(0)),), "not positive"),
        (
            (handler(fine, dead_letter="a"), handler(also_fine, match="event.x", dead_letter="b")),
            "sets dead_letter='b', but topic handler 'fine'",
        ),
        (
            (handler(fine, metadata={"a": "1"}), handler(also_fine, match="event.x", metadata={})),
            "say it once",
        ),
        (
            (handler(fine, raw=True), handler(also_fine, match="event.x", raw=False)),
            "sets raw=False",
        ),
        (
            (handler(fine, match="a"), handler(fine, match="b")),
            "has the route 'POST /dapr/topics/pubsub/orders/fine'",
        ),
        ((lambda app: app.topic("", "orders")(fine),), "empty pub/sub or topic name"),
        ((lambda app: app.topic(Topic("p", "t", Receipt))(fine),), "its topic carries Receipt"),
        (
            (lambda app: app.binding("in")(fine), lambda app: app.cron("in", "@daily")(also_fine)),
            "has the route 'POST /in', and so has binding handler 'fine'",
        ),
        (
            (lambda app: app.binding("fine")(also_fine), lambda app: app.invoke(fine)),
            "has the route 'POST /fine'",
        ),
        ((lambda app: app.binding("dapr/config")(fine),), "below '/dapr'"),
        ((lambda app: app.binding("/")(fine),), "is empty"),
        ((lambda app: app.binding("in")(returns_text),), "returns str; the runtime ignores"),
        ((lambda app: app.binding("in")(optional),), "the runtime ignores"),
        ((lambda app: app.cron("tick", "61 * * * *")(fine),), "has the schedule '61 * * * *'"),
        ((lambda app: app.cron("tick", "@every soon")(fine),), "cannot be read"),
        ((lambda app: app.invoke(opaque),), "which no JSON fits"),
        ((lambda app: app.invoke(batch),), "which invoke handlers are not given"),
        ((lambda app: app.invoke(yields),), "is a generator"),
    ],
)
def test_declarations_that_contradict_are_refused(
    declarations: tuple[Callable[[DaprFlow], object], ...], says: str
) -> None:
    """Each contradiction is one problem that names the handlers."""
    found = problems_of(*declarations)
    assert any(says in problem for problem in found), found
    assert len(found) == 1


def test_a_decorator_without_a_function_is_reported() -> None:
    """``app.topic(...)`` without ``@`` registers nothing; freeze says so, with the line."""

    def forgetful(app: DaprFlow) -> None:
        app.topic("pubsub", "orders")
        app.provide(scope="call")

    found = problems_of(forgetful)
    assert len(found) == 2
    assert f"'app.topic(...)' ({__name__}:" in found[0]
    assert "decorates no function" in found[1]


@pytest.mark.parametrize("app_id", ["", 5, None])
def test_an_empty_app_id_is_reported(app_id: str) -> None:
    """An app needs an id."""
    with pytest.raises(AppDefinitionError, match=f"{__name__}:.* has no app id; give it a string"):
        DaprFlow(app_id).freeze()


async def optional_envelope(value: CloudEvent[Order] | None) -> None: ...


async def listed_envelope(value: list[CloudEvent[Order]]) -> None: ...


async def batched_envelope(value: Batch[CloudEvent[Order]]) -> None: ...


@pytest.mark.parametrize("function", [optional_envelope, listed_envelope, batched_envelope])
def test_an_envelope_stands_outside(function: Callable[..., Any]) -> None:
    """Inside another type it would be looked for in the data, where no publisher puts one."""
    [problem] = problems_of(handler(function))
    assert "takes 'value' with an envelope inside another type; write CloudEvent[...]" in problem


def test_an_envelope_may_be_annotated() -> None:
    """What is said about a type does not change it."""
    app = DaprFlow("shop")

    @app.topic("pubsub", "orders")
    async def on_order(event: Annotated[CloudEvent[Order], "vip"]) -> None: ...

    app.freeze()
    assert app.table()[0].payload == "Order"


def test_declaring_after_freeze_is_refused() -> None:
    """The sidecar has read the subscriptions by then; included routers are closed, too."""
    app, router = DaprFlow("shop"), Router()
    app.include(router)
    app.freeze()
    for late in (
        lambda: app.topic(orders)(fine),
        lambda: app.invoke(fine),
        lambda: router.binding("in")(fine),
        lambda: app.provide(fine),
        lambda: app.include(Router()),
    ):
        with pytest.raises(AppDefinitionError, match="comes too late: the app is frozen"):
            late()


def test_freezing_twice_does_nothing() -> None:
    """Freeze is idempotent; after an error it can be tried again and says the same."""
    app = DaprFlow("shop")
    handler(fine)(app)
    app.freeze()
    table = app.table()
    app.freeze()
    assert app.table() == table
    wrong = DaprFlow("wrong")
    handler(returns_text)(wrong)
    errors = []
    for _ in range(2):
        with pytest.raises(AppDefinitionError) as caught:
            wrong.freeze()
        errors.append(caught.value.problems)
    assert errors[0] == errors[1]


def test_types_may_be_defined_later() -> None:
    """Annotations are resolved at freeze, so a class may stand below its handler."""
    app = DaprFlow("shop")

    @app.topic("pubsub", "orders")
    async def on_order(order: "DefinedLater") -> None: ...

    app.freeze()
    assert app.table()[0].payload == "DefinedLater"


def test_types_may_be_local() -> None:
    """A class inside the function that declares the handler is found by its name."""

    class Local(msgspec.Struct):
        id: str

    app = DaprFlow("shop")

    @app.topic("pubsub", "orders")
    async def on_order(order: "CloudEvent[Local]", *, client: "Client") -> "Status | None": ...

    app.freeze()
    assert app.table()[0].payload.endswith("Local")


class DefinedLater(msgspec.Struct):
    id: str


@pytest.mark.parametrize("arguments", [(), ("pubsub",), ("a", "b", "c"), (1, 2), (orders, "x")])
def test_a_topic_is_a_handle_or_two_names(arguments: tuple[Any, ...]) -> None:
    """Anything else is reported with the handler."""
    [problem] = problems_of(lambda app: app.topic(*arguments)(fine))
    assert problem.startswith(f"topic handler 'fine' ({__name__}:")
    assert "a Topic handle, or the names" in problem


def test_a_decorator_without_its_parentheses_is_reported() -> None:
    """``@app.topic`` above a function registers nothing, which is one problem, not a traceback."""
    found = problems_of(
        lambda app: app.topic(fine),  # type: ignore[call-overload]
        lambda app: app.binding(also_fine),  # type: ignore[arg-type]
        lambda app: app.provide(scope="call"),
    )
    assert found[0].startswith(f"topic handler 'fine' ({__name__}:")
    assert found[0].endswith("write '@app.topic(...)' with its arguments above it")
    assert found[1].startswith(f"binding handler 'also_fine' ({__name__}:")
    assert found[2].startswith("'app.provide(...)' (")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"match": 5}, "sets match=5; it must be a string, a CEL rule"),
        ({"dead_letter": orders}, "it must be a string, a topic's name"),
        ({"max_messages": "9"}, "sets max_messages='9'; it must be a number"),
        ({"max_messages": True}, "it must be a number"),
        ({"max_wait": 5}, "sets max_wait=5; it must be a timedelta"),
        ({"raw": "yes"}, "it must be True or False"),
        ({"metadata": {"a": 1}}, "it must be a mapping of strings to strings"),
        ({"metadata": "a=1"}, "it must be a mapping of strings to strings"),
    ],
)
def test_options_of_a_wrong_type_are_reported(options: dict[str, Any], says: str) -> None:
    """Who writes no types learns of the mistake with the handler's place, beside the others."""
    found = problems_of(handler(batch, **options), lambda app: app.binding("in")(returns_text))
    assert len(found) == 2
    assert found[0].startswith(f"topic handler 'batch' ({__name__}:")
    assert says in found[0]


@pytest.mark.parametrize(
    ("declare", "says"),
    [
        (lambda app: app.binding(5)(fine), "has a name of type 'int'; it must be a string"),
        (lambda app: app.cron("tick", timedelta(1))(fine), "has a schedule of type 'timedelta'"),
        (lambda app: app.invoke(name=5)(fine), "has a name of type 'int'"),
        (handler(fine, dead_letter=""), "has an empty 'dead_letter'"),
        (handler(fine, dead_letter="orders"), "its own topic 'orders' as 'dead_letter'"),
        (lambda app: app.invoke(answers_opaque), "returns Opaque, which cannot be sent: 'Opaque'"),
        (lambda app: app.invoke(answers_opaque_within), "cannot be sent: 'Opaque' is no msgspec"),
    ],
)
def test_values_that_cannot_work_are_reported(
    declare: Callable[[DaprFlow], object], says: str
) -> None:
    """A name, a schedule, a dead letter topic or an answer that no runtime could use."""
    [problem] = problems_of(declare)
    assert says in problem


async def answers_opaque(order: Order) -> Opaque:
    return Opaque()


async def answers_opaque_within() -> dict[str, list[Opaque]]:
    return {}


class Totals(dict[str, int]):
    """JSON can be made of this, but this cannot be made of JSON."""


async def answers_either() -> Order | Receipt:
    return Order("1")


async def answers_totals() -> Totals:
    return Totals()


async def answers_any() -> Any: ...


async def answers_some() -> Iterable[int]:
    return []


async def answers_untold():  # type: ignore[no-untyped-def]  # noqa: ANN201 - the point
    ...


@pytest.mark.parametrize(
    "function", [answers_either, answers_totals, answers_any, answers_some, answers_untold]
)
def test_answers_that_may_be_sent_are_accepted(function: Callable[..., Any]) -> None:
    """An answer need not be readable by this app, only by the one that asked."""
    app = DaprFlow("shop")
    app.invoke(function)
    app.freeze()


@pytest.mark.parametrize("value", [5, Router, DaprFlow("other")])
def test_only_a_router_can_be_included(value: Router) -> None:
    """An app in an app, or what is no router at all, is reported with its place."""
    [problem] = problems_of(lambda app: app.include(value))
    assert "takes a Router, not a value of type '" in problem


def test_a_typed_dict_may_meet_a_topic_of_another_type() -> None:
    """The contradiction is reported; asking a TypedDict for its subclasses would be a crash."""
    [problem] = problems_of(
        lambda app: app.topic(Topic("p", "t", Receipt))(typed_dict)  # type: ignore[arg-type]
    )
    assert "takes Parcel, but its topic carries Receipt" in problem


class Parcel(TypedDict):
    id: str


async def typed_dict(parcel: Parcel) -> None: ...


def test_one_mistake_does_not_hide_the_next() -> None:
    """A handler with a wrong answer, or an unreadable one, is still checked for everything else."""

    async def answers(order: Order, *, unknown: Opaque) -> int:
        return 1

    async def unreadable(order: "Fraction") -> None: ...

    async def sound(order: Order) -> None: ...

    found = "\n".join(
        problems_of(handler(answers), handler(unreadable, match="event.type =="), handler(sound))
    )

    assert "returns int" in found
    assert "'unknown: Opaque', which nothing provides" in found
    assert "name 'Fraction' is not defined" in found
    assert "has a bad 'match'" in found
    assert "handles topic 'pubsub/orders' without 'match', and so does" in found


def test_a_method_name_in_the_functions_place_is_reported() -> None:
    """``@app.invoke("quote")`` says how to give a name, and does not stop the module."""

    async def quote(order: Order) -> int:
        return 1

    def declare(app: DaprFlow) -> None:
        decorate: Any = app.invoke("quote")  # type: ignore[call-overload]  # the mistake under test
        assert decorate(quote) is quote

    [problem] = problems_of(declare)
    assert "write '@app.invoke(name='quote')'" in problem
