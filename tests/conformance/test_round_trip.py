"""What the client encodes, the sidecar decodes to the same operation: each call it can make."""

from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daprflow.protocol import configuration, conversation, jobs, locks, operations, queries
from daprflow.protocol import state as states
from daprflow.protocol.conversation import ConverseRequest
from daprflow.protocol.fault import Fault
from daprflow.protocol.gojson import normalise
from daprflow.protocol.http import HttpRequest, StreamedRequest
from daprflow.protocol.jobs import JobRequest
from daprflow.protocol.locks import TryLock, Unlock
from daprflow.protocol.operations import BindingCall, BulkPublishEntry
from daprflow.protocol.queries import Query
from daprflow.protocol.state import (
    BulkGet,
    StateItem,
    StateOperation,
    StateOptions,
    StateTransaction,
)
from daprflow.sidecar.blocks.pubsub_publish import BadEventError, NewEntry, read_entries
from daprflow.sidecar.blocks.state import StateChange
from daprflow.sidecar.http_api.trace import NO_PARENT
from tests.helpers.sidecar import InProcessSidecar, in_process_sidecar

BLOCKS = (
    "state",
    "pubsub",
    "bindings",
    "secrets",
    "jobs",
    "locks",
    "configuration",
    "conversation",
    "invocation",
)


class Decoded(Fault):
    """Ends a call where its block would begin."""


class Recorder:
    """Stands where a building block stands and keeps what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.endpoints: frozenset[str] = frozenset()

    def require(self, _: str) -> None:
        """Say that a store of any name is there."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return an operation that is only written down."""

        def operation(*args: Any, **options: Any) -> Any:
            self.asked.append((name, args, options))
            raise Decoded(418, "ERR_DECODED", "it was decoded")

        return operation

    async def close(self) -> None:
        """Do nothing."""

    async def stop(self) -> None:
        """Do nothing."""


class Bench:
    """A sidecar whose blocks write down what its HTTP API asks them."""

    def __init__(self, sidecar: InProcessSidecar) -> None:
        self._sidecar = sidecar
        self._recorder = Recorder()
        for block in BLOCKS:
            setattr(sidecar.runtime, block, self._recorder)

    async def decoded(self, request: HttpRequest) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
        """Send a request and return the operation it was decoded to."""
        self._recorder.asked.clear()
        answer = await self._sidecar.exchange.send(request)
        assert answer.status == 418, answer.body
        (asked,) = self._recorder.asked
        return asked


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """A sidecar that only decodes."""
    async with in_process_sidecar(tmp_path, {}) as sidecar:
        runtime = sidecar.runtime
        kept = {block: getattr(runtime, block) for block in BLOCKS}
        yield Bench(sidecar)
        for block, real in kept.items():
            setattr(runtime, block, real)


every = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
names = st.text(min_size=1, max_size=12)
texts = st.text(max_size=12)
maps = st.dictionaries(names, texts, max_size=3)
etags = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12)
exact = st.integers(-(2**53), 2**53)
scalars = st.none() | st.booleans() | exact | texts | st.floats(allow_nan=False, width=32)
values = st.recursive(
    scalars, lambda v: st.lists(v, max_size=3) | st.dictionaries(texts, v, max_size=3), max_leaves=6
)
options = st.builds(
    StateOptions,
    st.sampled_from(["", "first-write", "last-write"]),
    st.sampled_from(["", "strong", "eventual"]),
)
raws = values.map(lambda value: msgspec.Raw(msgspec.json.encode(value)))
items = st.builds(StateItem, names, raws, st.none() | etags, st.none() | maps, st.none() | options)


def change(item: StateItem, *, delete: bool = False) -> StateChange:
    """Return what the state block must be asked for ``item``."""
    data = None if delete else normalise(item.value)
    return StateChange(item.key, data, item.etag, item.metadata, item.options or StateOptions())


@every
@given(store=names, key=names, consistency=texts, metadata=maps)
async def test_get(bench: Bench, store: str, key: str, consistency: str, metadata: Any) -> None:
    """A get names its store and key, whatever they hold."""
    request = states.get(store, key, consistency, metadata)
    assert await bench.decoded(request) == ("get", (store, key), {})


@every
@given(store=names, keys=st.lists(names, max_size=4), parallelism=st.integers(0, 99), metadata=maps)
async def test_get_many(
    bench: Bench, store: str, keys: list[str], parallelism: int, metadata: dict[str, str]
) -> None:
    """A bulk get names its keys in order."""
    request = states.get_many(store, BulkGet(tuple(keys), parallelism, metadata))
    assert await bench.decoded(request) == ("get_many", (store, tuple(keys)), {})


@every
@given(store=names, written=st.lists(items, min_size=1, max_size=3))
async def test_save(bench: Bench, store: str, written: list[StateItem]) -> None:
    """A save keeps values, ETags, metadata and options."""
    name, arguments, _ = await bench.decoded(states.save(store, tuple(written)))
    assert (name, arguments) == ("save", (store, [change(item) for item in written]))


@every
@given(store=names, item=items)
async def test_delete(bench: Bench, store: str, item: StateItem) -> None:
    """A delete keeps its key, ETag, metadata and options, which have other places than a save's."""
    item = msgspec.structs.replace(item, metadata=item.metadata or {})
    _, arguments, _ = await bench.decoded(states.delete(store, item))
    assert arguments == (store, change(item, delete=True))


@every
@given(
    store=names,
    steps=st.lists(st.tuples(st.sampled_from(["upsert", "delete"]), items), min_size=1, max_size=3),
)
async def test_transaction(bench: Bench, store: str, steps: list[tuple[str, StateItem]]) -> None:
    """A transaction keeps the order and everything of its operations."""
    transaction = StateTransaction(tuple(StateOperation(*step) for step in steps), {"a": "b"})
    _, arguments, _ = await bench.decoded(states.transact(store, transaction))
    wanted = [change(item, delete=kind == "delete") for kind, item in steps]
    assert arguments[:2] == (store, wanted)


comparisons = (queries.EQ, queries.NEQ, queries.GT, queries.GTE, queries.LT, queries.LTE)
leaves = st.one_of([st.builds(kind, names, scalars) for kind in comparisons]) | st.builds(
    queries.IN, names, st.lists(scalars, max_size=3).map(tuple)
)
filters = st.recursive(
    leaves,
    lambda inner: st.builds(
        lambda kind, parts: kind(tuple(parts)),
        st.sampled_from([queries.AND, queries.OR]),
        st.lists(inner, min_size=2, max_size=3),
    ),
    max_leaves=5,
)
orders = st.builds(queries.Sorting, texts, st.sampled_from(["", "ASC", "DESC"]))
pages = st.builds(queries.Paging, st.integers(0, 1000), texts)


@every
@given(
    store=names,
    query=st.builds(Query, st.none() | filters, st.lists(orders, max_size=2).map(tuple), pages),
    metadata=maps,
)
async def test_query(bench: Bench, store: str, query: Query, metadata: dict[str, str]) -> None:
    """A query is read as it was built."""
    request = states.query(store, queries.encode(query), metadata)
    name, (asked, body, sent), _ = await bench.decoded(request)
    assert (name, asked, sent) == ("query", store, metadata)
    assert queries.decode(body) == query


@every
@given(place=st.tuples(names, names), body=st.binary(max_size=20), kind=etags, metadata=maps)
async def test_publish(
    bench: Bench, place: tuple[str, str], body: bytes, kind: str, metadata: dict[str, str]
) -> None:
    """A publish keeps its payload byte for byte, its content type and its metadata."""
    pubsub, topic = place
    if pubsub == "bulk":
        return  # the runtime's route for bulk publishing
    request = operations.publish(pubsub, topic, body, kind, metadata)
    name, arguments, _ = await bench.decoded(request)
    assert (name, arguments) == ("publish", (pubsub, topic, body, kind, metadata))


@every
@given(
    pubsub=names,
    topic=names,
    entries=st.lists(
        st.builds(BulkPublishEntry, names, raws, texts, st.none() | maps), min_size=1, max_size=3
    ),
    metadata=maps,
)
async def test_publish_many(
    bench: Bench,
    pubsub: str,
    topic: str,
    entries: list[BulkPublishEntry],
    metadata: dict[str, str],
) -> None:
    """A bulk publish keeps each entry."""
    request = operations.publish_bulk(pubsub, topic, entries, metadata)
    name, arguments, _ = await bench.decoded(request)
    assert (name, *arguments[:2], arguments[3]) == ("publish_many", pubsub, topic, metadata)
    assert read(arguments[2]) == read(read_entries(entries))


def read(entries: Iterable[NewEntry]) -> list[NewEntry] | str:
    """Return the entries, or what is wrong with them."""
    try:
        return list(entries)
    except BadEventError as error:
        return str(error)


@every
@given(name=names, operation=texts, data=raws, metadata=maps)
async def test_binding(
    bench: Bench, name: str, operation: str, data: msgspec.Raw, metadata: dict[str, str]
) -> None:
    """A binding call keeps operation, data and metadata."""
    request = operations.call_binding(name, BindingCall(operation, data, metadata))
    wanted = (name, operation, normalise(data), {**metadata, "traceparent": NO_PARENT.decode()})
    assert await bench.decoded(request) == ("invoke", wanted, {})


@every
@given(store=names, key=names)
async def test_secret(bench: Bench, store: str, key: str) -> None:
    """A secret call names store and key."""
    if key == "bulk":
        return  # the runtime's route for all secrets
    assert await bench.decoded(operations.get_secret(store, key)) == ("get", (store, key, {}), {})


job_names = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=12)


@every
@given(
    name=job_names,
    job=st.builds(
        JobRequest,
        schedule=st.none() | names,
        repeats=st.none() | st.integers(0, 2**32 - 1),
        due_time=st.none() | names,
        ttl=st.none() | names,
        overwrite=st.booleans(),
        failure_policy=st.sampled_from(
            [
                None,
                jobs.FailurePolicy(drop=jobs.Drop()),
                jobs.FailurePolicy(constant=jobs.Constant("2s", 3)),
            ]
        ),
        data=values.filter(lambda value: value is not None).map(
            lambda value: msgspec.Raw(msgspec.json.encode(value))
        ),
    ),
)
async def test_job(bench: Bench, name: str, job: JobRequest) -> None:
    """A job keeps its schedule, limits, policy and data; getting and deleting name it."""
    assert await bench.decoded(jobs.schedule_job(name, job)) == ("schedule", (name, job), {})
    assert await bench.decoded(jobs.get_job(name)) == ("describe", (name,), {})
    assert await bench.decoded(jobs.delete_job(name)) == ("delete", (name,), {})


@every
@given(store=names, resource=texts, owner=texts, seconds=st.integers(0, 1000))
async def test_lock(bench: Bench, store: str, resource: str, owner: str, seconds: int) -> None:
    """Lock calls keep resource, owner and time."""
    take, leave = TryLock(resource, owner, seconds), Unlock(resource, owner)
    assert await bench.decoded(locks.try_lock(store, take)) == ("try_lock", (store, take), {})
    assert await bench.decoded(locks.unlock(store, leave)) == ("unlock", (store, leave), {})


@every
@given(store=names, keys=st.lists(names, max_size=3), metadata=maps, subscription=names)
async def test_configuration(
    bench: Bench, store: str, keys: list[str], metadata: dict[str, str], subscription: str
) -> None:
    """Configuration calls keep their keys in order, and their metadata."""
    wanted = (store, keys, metadata)
    request = configuration.get_configuration(store, keys, metadata)
    assert await bench.decoded(request) == ("get", wanted, {})
    request = configuration.subscribe_configuration(store, keys, metadata)
    assert await bench.decoded(request) == ("subscribe", wanted, {})
    request = configuration.unsubscribe_configuration(store, subscription)
    assert await bench.decoded(request) == ("unsubscribe", (store, subscription), {})


messages = st.builds(
    conversation.Message,
    of_user=st.builds(
        conversation.Said,
        content=st.lists(st.builds(conversation.Content, names), min_size=1, max_size=2).map(tuple),
    ),
)
inputs = st.builds(
    conversation.Input, messages=st.lists(messages, min_size=1, max_size=2).map(tuple)
)


@every
@given(
    name=names,
    asked=st.builds(
        ConverseRequest,
        context_id=texts,
        inputs=st.lists(inputs, max_size=2).map(tuple),
        metadata=maps,
        scrub_pii=st.booleans(),
        temperature=st.none() | st.floats(0, 2),
        tool_choice=texts,
    ),
)
async def test_converse(bench: Bench, name: str, asked: ConverseRequest) -> None:
    """A prompt reaches its model with everything that was said."""
    assert await bench.decoded(conversation.converse(name, asked)) == (
        "converse",
        (name, asked),
        {},
    )


# The runtime refuses methods with other signs.
allowed = st.characters(categories=["L", "N"], include_characters=" +&=-_:")
plain_paths = st.lists(st.text(allowed, min_size=1, max_size=9), min_size=1, max_size=3)


@every
@given(app_id=names, parts=plain_paths, body=st.binary(max_size=20), kind=etags)
async def test_invoke(bench: Bench, app_id: str, parts: list[str], body: bytes, kind: str) -> None:
    """An invocation keeps its app, path, payload and content type."""
    method = "/".join(parts)
    request = operations.invoke(app_id, method, body, kind)
    name, (asked, sent), _ = await bench.decoded(request)
    assert (name, asked) == ("invoke", app_id)
    assert isinstance(sent, StreamedRequest)
    assert (sent.method, sent.length) == ("POST", len(body))
    assert unquote(sent.target) == f"/{method}"
    assert dict(sent.headers)["content-type"] == kind
    assert b"".join([chunk async for chunk in sent.chunks]) == body
