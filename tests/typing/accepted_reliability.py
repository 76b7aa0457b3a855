"""Uses of limits, inboxes and interceptors of calls that mypy accepts in strict mode."""

from datetime import timedelta
from typing import assert_type

import msgspec

from daprflow import Client, CloudEvent, DaprFlow, Endpoint, SyncClient, Topic
from daprflow.client import (
    Attempt,
    CallNext,
    CircuitState,
    ClientCall,
    ClientInterceptor,
    ClientResponse,
    RetryState,
    TargetLoad,
)
from daprflow.reliability import Concurrency, HandlerLoad, Once
from daprflow.settings import Settings


class Paid(msgspec.Struct):
    id: str


payments = Topic("pubsub", "payments", Paid)
app = DaprFlow("limits")


@app.topic(payments, max_concurrency=8, once="statestore")
async def on_payment(paid: Paid) -> None: ...


def by_id(event: CloudEvent[Paid]) -> str:
    return event.data.id


WEEK = timedelta(days=7)


@app.topic(payments, match="true", once=Once("statestore", window=WEEK, key=by_id, lease=WEEK))
async def on_any_payment(event: CloudEvent[Paid]) -> None: ...


@app.binding("sms", max_concurrency=Concurrency(2, waiting=0, wait=timedelta(seconds=1)))
async def on_sms(text: str) -> None: ...


@app.invoke(max_concurrency=4)
async def quote(paid: Paid) -> int:
    return 1


@app.invoke("GET", "/payments/{id}", max_concurrency=Concurrency(4))
async def get_payment(*, id: str) -> Paid:  # noqa: A002 - of the path
    return Paid(id)


@app.job("sweep", schedule="@every 1m", max_concurrency=1)
async def sweep() -> None: ...


@app.activity(max_concurrency=3)
async def charge(paid: Paid) -> int:
    return 1


assert_type(quote, Endpoint[Paid, int])
assert_type(app.handler_loads, tuple[HandlerLoad, ...])


async def watching(call: ClientCall, call_next: CallNext) -> ClientResponse:
    call.attempts.listen(noting)
    response = await call_next(call.with_headers(("x-tenant", "blue")))
    assert_type(response.status, int)
    assert_type(call.attempts.made, list[Attempt])
    return response


def noting(attempt: Attempt) -> None: ...


watcher: ClientInterceptor = watching
client = Client(Settings(target_calls={"invoke/pricing": 4}), interceptors=[watching])
client.add_interceptors(watching)
assert_type(client.circuit, CircuitState)
assert_type(client.retries, RetryState)
assert_type(client.loads, tuple[TargetLoad, ...])
SyncClient(interceptors=[watching])
