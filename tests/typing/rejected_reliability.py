"""Misuses of limits, inboxes and interceptors; mypy refuses exactly the lines that say so."""

from daprflow import Client, DaprFlow
from daprflow.client import CallNext, ClientCall, ClientResponse
from daprflow.handlers.handler import Delivery, Next, Outcome
from daprflow.reliability import Concurrency, Once
from tests.typing.accepted_reliability import payments

app = DaprFlow("limits")

app.topic(payments, max_concurrency="8")  # refused: call-overload
app.topic(payments, once=True)  # refused: call-overload
app.topic(payments, once=Once("statestore", window=86400))  # refused: arg-type
app.binding("sms", once="statestore")  # refused: call-arg
app.invoke(once="statestore")  # refused: call-overload
app.job("sweep", max_concurrency=1.5)  # refused: call-overload
Concurrency(wait=1)  # refused: call-arg, arg-type
Once(window=None)  # refused: call-arg, arg-type


def not_awaited(call: ClientCall, call_next: CallNext) -> ClientResponse:
    raise NotImplementedError


async def of_deliveries(delivery: Delivery, call: Next) -> Outcome:
    return await call(delivery)


async def without_answer(call: ClientCall, call_next: CallNext) -> None:
    await call_next(call)


Client(interceptors=[not_awaited])  # refused: list-item
Client(interceptors=[of_deliveries])  # refused: list-item
Client(interceptors=[without_answer])  # refused: list-item
