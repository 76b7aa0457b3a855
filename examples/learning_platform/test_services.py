"""Each service does its one thing, whatever comes twice or fails on the way."""

from datetime import timedelta
from pathlib import Path

import pytest

from daprflow import DaprFlow, InvocationError, Status
from daprflow.testing import StateStore, TestSidecar
from examples.learning_platform.services import (
    catalog,
    certificates,
    gateway,
    lessons,
    notifications,
    orders,
    payments,
    progress,
    reports,
)
from examples.learning_platform.services.contracts import (
    Bill,
    Certificate,
    Completed,
    Mail,
    Order,
    Outcome,
    Watched,
    completed,
    ended,
    mails,
    placed,
    room,
    watched,
)

LAPTOP = Path(__file__).parent / "components" / "laptop"
SECRETS = {"vault": {"receipts-key": "a-key"}}


def sidecar(app: DaprFlow, *peers: DaprFlow, spans: bool = False) -> TestSidecar:
    """Return a sidecar for a service, with others beside it, and the secret that one needs."""
    return TestSidecar(app, peers=peers, secrets=SECRETS, spans=spans)


# --8<-- [start:saga]
def selling() -> TestSidecar:
    """Return the services that take part in an order."""
    return sidecar(orders.app, catalog.app, payments.app, lessons.app)


async def bought(dapr: TestSidecar, order: Order) -> Outcome:
    """Place an order and return how it ended."""
    assert await dapr.publish(placed, order) is Status.SUCCESS
    return await dapr.workflow(orders.fulfil, order.id).result()


async def test_an_order_is_fulfilled() -> None:
    """A seat is taken, the wallet is charged, the room is open, and everybody is told."""
    async with selling() as dapr:
        end = await bought(dapr, Order("o1", "ann", "python"))
        assert (end.state, end.paid) == ("fulfilled", 30)
        assert await dapr.client.invoke(payments.balance, "ann") == 70
        assert await dapr.actor(lessons.StudyRoom, room("ann", "python")).watch(1) == 1
        assert dapr.published(ended) == [end]
        assert await dapr.invoke(orders.outcome, "o1") == end


async def test_a_second_order_of_the_same_course_is_taken_back() -> None:
    """The last step fails, so the money and the seat go back, in reverse."""
    async with selling() as dapr:
        await bought(dapr, Order("o1", "ann", "sailing"))
        end = await bought(dapr, Order("o2", "ann", "sailing"))
        assert (end.state, end.reason) == ("cancelled", "AlreadyEnrolledError")
        assert await dapr.client.invoke(payments.balance, "ann") == 50
        third = await bought(dapr, Order("o3", "bob", "sailing"))
        assert third.state == "fulfilled"  # by the seat that came back
        # --8<-- [end:saga]


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        (Order("o1", "ann", "opera"), "DeclinedError"),
        (Order("o2", "ann", "dancing"), "LookupError"),
    ],
)
async def test_an_order_that_is_hopeless_costs_nothing(order: Order, reason: str) -> None:
    """What will never work is not tried again, and what was done before is undone."""
    async with selling() as dapr:
        end = await bought(dapr, order)
        assert (end.state, end.reason) == ("cancelled", reason)
        assert await dapr.client.invoke(payments.balance, "ann") == payments.WELCOME


async def test_a_course_has_so_many_seats() -> None:
    """The third student of two is told so, and keeps the money."""
    async with selling() as dapr:
        ends = [
            await bought(dapr, Order(f"o-{name}", name, "sailing")) for name in ("ann", "bob", "cy")
        ]
        assert [each.reason for each in ends] == ["", "", "SoldOutError"]
        assert await dapr.client.invoke(payments.balance, "cy") == payments.WELCOME


# --8<-- [start:faults]
async def test_a_store_that_is_away_delays_an_order() -> None:
    """Steps are tried again with growing pauses; each has its effect once."""
    async with selling() as dapr:
        dapr.fail(StateStore("statestore"), times=5, error="connection refused")
        run = await dapr.start(orders.fulfil, Order("o1", "ann", "python"))
        await dapr.advance(timedelta(minutes=2))
        assert (await run.result()).state == "fulfilled"
        assert await dapr.client.invoke(payments.balance, "ann") == 70


# --8<-- [end:faults]


async def test_an_order_is_one_trace() -> None:
    """From the event to the end, all that happens for an order belongs together."""
    async with sidecar(orders.app, catalog.app, payments.app, lessons.app, spans=True) as dapr:
        await bought(dapr, Order("o1", "ann", "python"))
        tree = dapr.spans.tree().splitlines()
    names = {line.strip() for line in tree}
    assert {
        "activity reserve",
        "activity charge",
        "StudyRoom/enrol",
        "publish orders-ended",
    } <= names
    roots = [line for line in tree if not line.startswith(" ")]
    assert roots == ["secrets/get vault", "process orders-placed"]  # the first at the start


async def test_an_activity_that_runs_twice_charges_once() -> None:
    """The receipt of the first time is the answer of the second, and a refund is given once."""
    bill = Bill("o1", "ann", 30)
    async with sidecar(payments.app) as dapr:
        signer = payments.Signer(b"a-key")
        first = await payments.charge(bill, client=dapr.client, signer=signer)
        assert await payments.charge(bill, client=dapr.client, signer=signer) == first
        assert first.signature == signer.sign(bill)
        assert await dapr.invoke(payments.balance, "ann") == 70
        for _ in range(2):
            await payments.refund(bill, client=dapr.client)
        assert await dapr.invoke(payments.balance, "ann") == 100


async def test_a_charge_that_comes_after_its_refund_takes_nothing() -> None:
    """A call that was thought to be lost may still be under way."""
    bill = Bill("o1", "ann", 30)
    async with sidecar(payments.app) as dapr:
        await payments.refund(bill, client=dapr.client)
        late = await payments.charge(bill, client=dapr.client, signer=payments.Signer(b"a-key"))
        assert late.refunded
        assert await dapr.invoke(payments.balance, "ann") == 100


async def test_who_stays_away_is_missed() -> None:
    """Three days after the last lesson a mail goes out; who left gets none."""
    order = Order("o1", "ann", "python")
    async with sidecar(lessons.app) as dapr:
        study = dapr.actor(lessons.StudyRoom, room("ann", "python"))
        assert await study.watch(1) is None  # not enrolled
        assert await study.enrol(order)
        assert not await study.enrol(Order("o2", "ann", "python"))
        await dapr.advance(timedelta(days=2))
        assert await study.watch(1) == 1
        await dapr.advance(timedelta(days=2))
        assert dapr.published(mails) == []
        await dapr.advance(timedelta(days=1, minutes=1))
        assert [each.to for each in dapr.published(mails)] == ["ann"]
        assert dapr.published(watched) == [Watched("ann", "python", 1)]
        await study.leave(order)
        assert await study.watch(2) is None


async def test_the_last_lesson_completes_a_course() -> None:
    """Lessons count once each; the certificate is there when all were seen."""
    of = Completed("ann", "sailing")
    async with sidecar(progress.app, catalog.app, certificates.app) as dapr:
        for lesson in (1, 1, 7):  # there is no seventh
            await dapr.publish(watched, Watched("ann", "sailing", lesson))
        assert await dapr.invoke(progress.lessons, of) == 2
        assert dapr.published(completed) == []
        await dapr.publish(watched, Watched("ann", "sailing", 2))
        assert dapr.published(completed) == [of]
        issued = await dapr.client.invoke(certificates.certificate, of)
        assert issued == Certificate("ann", "sailing", "Sailing for two")


async def test_a_mail_is_sent_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By its own id, not by the event's: two services may ask for the same mail."""
    monkeypatch.chdir(tmp_path)  # where the laptop's components keep their files
    async with TestSidecar(notifications.app, resources_path=LAPTOP) as dapr:
        for _ in range(2):
            await dapr.publish(mails, Mail("m1", "ann", "hello"))
    assert capsys.readouterr().out.count("mail to ann: hello") == 1
    assert (tmp_path / ".daprflow" / "mails" / "m1").read_text() == "hello"


async def test_what_nobody_can_read_waits_for_a_person() -> None:
    """An event of the wrong form is no failure that comes again: it is kept, by its id."""
    async with sidecar(orders.app, notifications.app) as dapr:
        await dapr.client.publish("pubsub", "orders-placed", {"id": 7}, id="e1")
        await dapr.settle()
        assert await dapr.client.invoke(notifications.dead) == ["e1"]


async def test_the_morning_report_has_every_order_once() -> None:
    """Orders are counted by their ids, and the owners have the sum at six."""
    async with sidecar(reports.app) as dapr:
        for order in ("o1", "o1", "o2"):
            await dapr.publish(ended, Outcome(order, "ann", "python", "fulfilled", 30))
        await dapr.publish(ended, Outcome("o3", "bob", "opera", "cancelled"))
        await dapr.advance(timedelta(days=1))
        (report,) = dapr.published(mails)
        assert report.text == "2 fulfilled, 1 cancelled, 60 earned"


async def test_the_gateway_says_no_as_the_services_do() -> None:
    """What is not there is 404, what is not paid for 403."""
    others = (catalog.app, orders.app, lessons.app, certificates.app, payments.app)
    async with sidecar(gateway.app, *others) as dapr:
        assert (await dapr.invoke(gateway.course, course_id="python")).price == 30
        assert (await dapr.invoke(gateway.outcome, order_id="o1")).state == "open"
        for call, status in (
            (dapr.invoke(gateway.course, course_id="dancing"), 404),
            (dapr.invoke(gateway.certificate, student="ann", course_id="python"), 404),
            (dapr.invoke(gateway.watch, Watched("ann", "python", 1)), 403),
        ):
            with pytest.raises(InvocationError) as refused:
                await call
            assert refused.value.status == status
        accepted = await dapr.invoke(gateway.order, Order("o1", "ann", "python"))
        await dapr.settle()
        assert (await dapr.invoke(gateway.outcome, order_id=accepted.order)).state == "fulfilled"


@pytest.mark.parametrize(
    "order",
    [
        Order("", "ann", "python"),  # without an id it could not be told from the next one
        Order("../o1", "ann", "python"),
        Order("o1", "ann.b", "python"),
        Order("o1\n", "ann", "python"),
        Order("o1", "ann", "python||sailing"),
    ],
)
async def test_the_gateway_takes_no_name_that_is_none(order: Order) -> None:
    """What would be refused behind the gateway is refused at it: an order it takes is placed."""
    async with sidecar(gateway.app) as dapr:
        with pytest.raises(InvocationError, match="400"):
            await dapr.invoke(gateway.order, order)
        assert dapr.published(placed) == []


async def test_names_are_of_any_language() -> None:
    """Letters are those of all scripts."""
    async with sidecar(gateway.app) as dapr:
        order = Order("bestellung-1", "Jürgen_Ö", "数学")
        assert (await dapr.invoke(gateway.order, order)).order == order.id
        assert dapr.published(placed) == [order]
