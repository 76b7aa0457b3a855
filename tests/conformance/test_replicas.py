"""One app that runs several times: what each replica gets, and what the others take over."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from daprflow.protocol.http import HttpRequest, HttpResponse
from daprflow.sidecar.channel.in_process import AsgiChannel
from daprflow.sidecar.options import RuntimeOptions
from tests.helpers.recording import DONE, NOT_FOUND, Answer, Call
from tests.helpers.replicas import APP, Replica, Shop, shop
from tests.helpers.servers import redis_server
from tests.helpers.sidecar import Components
from tests.helpers.timing import eventually

TOPIC = [{"pubsubname": "pubsub", "topic": "orders", "route": "/orders"}]
BULK = [
    {**TOPIC[0], "bulkSubscribe": {"enabled": True, "maxMessagesCount": 5, "maxAwaitDurationMs": 1}}
]
ACTORS = {"entities": ["Cart"], "drainOngoingCallTimeout": "60s"}
ACTOR_STORE: Components = {"store": ("state.in-memory", {"actorStateStore": "true"})}


async def call(
    api: AsgiChannel, method: str, target: str, body: bytes = b"", content_type: str = ""
) -> HttpResponse:
    """Make a call on a sidecar."""
    headers = (("content-type", content_type),) if content_type else ()
    return await api.send(HttpRequest(method, target, headers, body))


# ---- service invocation -------------------------------------------------------------------------


async def test_calls_are_spread(tmp_path: Path) -> None:
    """Calls of another app go to the replicas in turn."""
    async with shop(tmp_path) as found:
        await found.start(1, 2, 3)
        caller = await found.caller()
        for _ in range(9):
            answer = await call(caller, "POST", f"/v1.0/invoke/{APP}/method/buy", b"x")
            assert answer.status == 200
        assert found.counts("/buy") == [3, 3, 3]


async def test_a_replica_that_is_gone_gets_no_calls(tmp_path: Path) -> None:
    """A call that did not get to one is made on another, with its whole body and no pause."""
    async with shop(tmp_path) as found:
        one, two, _ = await found.start(1, 2, 3)
        caller = await found.caller()
        one.line.die()
        for number in range(6):
            body = f"{number}".encode()
            answer = await call(caller, "POST", f"/v1.0/invoke/{APP}/method/buy", body)
            assert answer.status == 200
        assert sum(found.counts("/buy")) == 6
        two.line.die()
        for _ in range(3):
            await call(caller, "POST", f"/v1.0/invoke/{APP}/method/buy", b"x")
        assert found.counts("/buy")[2] >= 6
        assert found.clock.due() is None


@pytest.mark.parametrize(("method", "status"), [("GET", 200), ("PUT", 200), ("POST", 500)])
async def test_a_call_that_broke_off(tmp_path: Path, method: str, status: int) -> None:
    """It is made on another replica where making it twice does no harm, and fails otherwise."""
    async with shop(tmp_path) as found:
        one, two = await found.start(1, 2)
        caller = await found.caller()
        for each in (one, two):
            each.app.held["/buy"] = asyncio.Event()
        pending = asyncio.create_task(call(caller, method, f"/v1.0/invoke/{APP}/method/buy"))
        await found.until(lambda: sum(found.counts("/buy", method)) == 1)
        first, other = (one, two) if one.took("/buy", method) else (two, one)
        other.app.held["/buy"].set()
        first.line.die()
        assert (await pending).status == status
        assert len(other.took("/buy", method)) == (status == 200)


async def test_a_replica_that_starts_anew_gets_no_calls(tmp_path: Path) -> None:
    """While its deliveries are paused, others take what comes; then it has its share again."""
    async with shop(tmp_path) as found:
        one, _ = await found.start(1, 2)
        caller = await found.caller()
        await one.runtime.pause()
        for _ in range(4):
            await call(caller, "POST", f"/v1.0/invoke/{APP}/method/buy")
        assert found.counts("/buy") == [0, 4]
        await one.runtime.reconnect()
        for _ in range(4):
            await call(caller, "POST", f"/v1.0/invoke/{APP}/method/buy")
        assert found.counts("/buy") == [2, 6]


async def test_an_unhealthy_replica_gets_nothing(tmp_path: Path) -> None:
    """By its health check a replica is left out of calls and of events, and comes back."""
    documents = {"/dapr/subscribe": TOPIC}
    async with shop(tmp_path, {"pubsub": ("pubsub.daprflow", {})}, documents=documents) as found:
        found.options = RuntimeOptions(
            APP, app_port=1, enable_app_health_check=True, app_health_probe_interval=1.0
        )
        one, two = await found.start(1, 2)
        caller = await found.caller()
        await found.until(lambda: one.runtime.takes_calls and two.runtime.takes_calls)
        one.app.answers["/healthz"] = Answer(500)
        await found.until(lambda: not one.runtime.takes_calls)
        before = found.counts("/orders")[0]
        for _ in range(4):
            await call(caller, "POST", f"/v1.0/invoke/{APP}/method/buy")
            await publish(two)
        await found.until(lambda: sum(found.counts("/orders")) == 4)
        assert found.counts("/buy") == [0, 4]
        assert found.counts("/orders") == [before, 4]
        one.app.answers["/healthz"] = DONE
        await found.until(lambda: one.runtime.takes_calls)


async def test_an_app_calls_itself_where_it_is(tmp_path: Path) -> None:
    """As with a real sidecar, a call of the own app id goes to the own process."""
    async with shop(tmp_path) as found:
        _, two = await found.start(1, 2)
        for _ in range(3):
            await call(two.api, "POST", f"/v1.0/invoke/{APP}/method/buy")
        assert found.counts("/buy") == [0, 3]


async def test_when_none_is_there(tmp_path: Path) -> None:
    """The call is tried again after a pause, as with one process, and then fails."""
    async with shop(tmp_path) as found:
        for replica in await found.start(1, 2):
            replica.line.die()
        caller = await found.caller()
        pending = asyncio.create_task(call(caller, "POST", f"/v1.0/invoke/{APP}/method/buy"))
        await found.until(pending.done)
        assert (await pending).status == 500
        assert found.counts("/buy") == [0, 0]


# ---- events -------------------------------------------------------------------------------------


async def publish(replica: Replica, count: int = 1, first: int = 0) -> None:
    """Publish numbered events through the sidecar of a replica."""
    for number in range(first, first + count):
        target = "/v1.0/publish/pubsub/orders"
        answer = await call(replica.api, "POST", target, b"%d" % number, "application/json")
        assert answer.status == 204


def numbers(found: Shop) -> list[int]:
    """Return the data of all events that got to any replica, sorted."""
    calls = [each for replica in found.replicas.values() for each in replica.took("/orders")]
    return sorted(each.json()["data"] for each in calls)


@pytest.mark.parametrize("kind", ["pubsub.in-memory", "pubsub.daprflow"])
async def test_an_event_goes_to_one(tmp_path: Path, kind: str) -> None:
    """Every event gets to one replica, and every replica gets some."""
    documents = {"/dapr/subscribe": TOPIC}
    async with shop(tmp_path, {"pubsub": (kind, {})}, documents=documents) as found:
        one, *_ = await found.start(1, 2, 3)
        for start in range(0, 60, 6):
            await asyncio.gather(*(publish(one, 1, start + n) for n in range(6)))
        await found.until(lambda: sum(found.counts("/orders")) >= 60)
        await found.engine.work.idle()
        assert numbers(found) == list(range(60))
        assert min(found.counts("/orders")) >= 5


@pytest.mark.parametrize("kind", ["pubsub.in-memory", "pubsub.daprflow"])
async def test_events_of_a_replica_that_dies(tmp_path: Path, kind: str) -> None:
    """What it had, what it is handed before anybody knows, and what waits for it go to others."""
    documents = {"/dapr/subscribe": TOPIC}
    async with shop(tmp_path, {"pubsub": (kind, {})}, documents=documents) as found:
        one, two, three = await found.start(1, 2, 3)
        two.app.held["/orders"] = asyncio.Event()
        publishing = [asyncio.create_task(publish(three, 1, number)) for number in range(40)]
        await found.until(lambda: bool(two.took("/orders")))
        two.line.die()
        await found.until(lambda: all(each.done() for each in publishing))
        await publish(one, 20, 40)
        await found.until(lambda: set(survived(one, three)) == set(range(60)))
        await found.engine.work.idle()
        assert len(survived(one, three)) == 60
        await two.runtime.close(0.0)
        await publish(one, 4, 60)
        await found.until(lambda: set(survived(one, three)) == set(range(64)))


def survived(*replicas: Replica) -> list[int]:
    """Return the data of the events that got to some replicas."""
    return [each.json()["data"] for replica in replicas for each in replica.took("/orders")]


async def test_events_when_all_replicas_are_away(tmp_path: Path) -> None:
    """They wait in the durable broker, and go on with the first that is back."""
    documents = {"/dapr/subscribe": TOPIC}
    async with shop(tmp_path, {"pubsub": ("pubsub.daprflow", {})}, documents=documents) as found:
        one, two = await found.start(1, 2)
        one.line.die()
        two.line.die()
        await publish(one, 10)
        await found.advance(20)
        assert numbers(found) == []
        two.line.dead = False
        await found.until(lambda: len(numbers(found)) >= 10)
        await found.engine.work.idle()
        assert numbers(found) == list(range(10))
        one.line.dead = False
        await publish(one, 40, 10)
        await found.advance(5)
        await publish(one, 40, 50)
        await found.until(lambda: numbers(found) == list(range(90)))
        assert min(found.counts("/orders")) >= 10


@pytest.mark.parametrize("kind", ["pubsub.in-memory", "pubsub.daprflow"])
async def test_batches_go_to_one(tmp_path: Path, kind: str) -> None:
    """Bulk subscriptions share the events as well."""
    documents = {"/dapr/subscribe": BULK}

    def answer(request: Call) -> Answer:
        if request.path != "/orders":
            return NOT_FOUND
        entries = request.json()["entries"]
        done = [{"entryId": each["entryId"], "status": "SUCCESS"} for each in entries]
        return Answer.of({"statuses": done})

    components: Components = {"pubsub": (kind, {})}
    async with shop(tmp_path, components, documents=documents, answer=answer) as found:
        one, two = await found.start(1, 2)

        def seen(*replicas: Replica) -> list[int]:
            return sorted(
                entry["event"]["data"]
                for replica in replicas
                for each in replica.took("/orders")
                for entry in each.json()["entries"]
            )

        await asyncio.gather(*(publish(one, 1, number) for number in range(40)))
        await found.until(lambda: seen(one, two) == list(range(40)))
        assert one.took("/orders")
        assert two.took("/orders")
        one.line.die()
        await asyncio.gather(*(publish(one, 1, number) for number in range(40, 60)))
        await found.until(lambda: seen(one, two) == list(range(60)))


async def test_other_apps_get_their_own(tmp_path: Path) -> None:
    """Another app that subscribes gets every event, whatever the replicas of the first do."""
    documents = {"/dapr/subscribe": TOPIC}
    components: Components = {"pubsub": ("pubsub.in-memory", {})}
    async with shop(tmp_path, components, documents=documents) as found:
        await found.start(1, 2)
        found.options = RuntimeOptions("audit", app_port=1)
        audit = (await found.start(9))[0]
        await publish(audit, 10)
        await found.until(lambda: sum(found.counts("/orders")) == 20)
        assert sorted(survived(audit)) == list(range(10))


async def test_an_event_on_redis_goes_to_one(tmp_path: Path) -> None:
    """The replicas are one consumer group, and what a dead one had goes to another at once."""
    async with redis_server() as server:
        components: Components = {"pubsub": ("pubsub.redis", server.metadata)}
        documents = {"/dapr/subscribe": TOPIC}
        async with shop(tmp_path, components, documents=documents) as found:
            one, two = await found.start(1, 2)
            await publish(one, 30)
            await eventually(lambda: len(numbers(found)) == 30)
            two.app.held["/orders"] = asyncio.Event()
            before = len(two.took("/orders"))
            await publish(one, 30, 30)
            await eventually(lambda: len(two.took("/orders")) > before)
            two.line.die()
            await eventually(lambda: set(numbers(found)) == set(range(60)))
            lost = {each.json()["data"] for each in two.took("/orders")[before:]}
            await eventually(lambda: lost <= set(survived(one)))
            await publish(one, 20, 60)
            await eventually(lambda: set(range(60, 80)) <= set(survived(one)))


# ---- ticks --------------------------------------------------------------------------------------


async def test_a_job_tick_goes_to_one(tmp_path: Path) -> None:
    """Ticks are shared, and go on with those that are left."""
    async with shop(tmp_path) as found:
        one, two, three = await found.start(1, 2, 3)
        body = b'{"schedule":"@every 1s","repeats":30}'
        assert (await call(one.api, "POST", "/v1.0/jobs/sweep", body)).status == 204
        await found.advance(10)
        assert sum(found.counts("/job/sweep")) == 10
        assert min(found.counts("/job/sweep")) >= 2
        one.line.die()
        await found.advance(10)
        assert sum(found.counts("/job/sweep")) == 20
        await two.runtime.close(0.0)
        await found.advance(20)
        assert sum(found.counts("/job/sweep")) == 30
        assert len(three.took("/job/sweep")) >= 10


async def test_the_tick_that_a_dying_replica_had(tmp_path: Path) -> None:
    """It is a failed attempt, and its policy's next one goes to another replica."""
    async with shop(tmp_path) as found:
        replicas = await found.start(1, 2)
        for each in replicas:
            each.app.held["/job/once"] = asyncio.Event()
        await call(replicas[0].api, "POST", "/v1.0/jobs/once", b'{"dueTime":"1s"}')
        await found.until(lambda: sum(found.counts("/job/once")) == 1)
        first, other = replicas if replicas[0].took("/job/once") else reversed(replicas)
        other.app.held["/job/once"].set()
        first.line.die()
        await found.until(lambda: bool(other.took("/job/once")))
        await found.advance(10)
        assert found.counts("/job/once") == [1, 1]


async def test_a_cron_tick_goes_to_each(tmp_path: Path) -> None:
    """As with real sidecars: each has its own schedule; a job is what ticks once."""
    components: Components = {
        "tick": ("bindings.cron", {"schedule": "@every 10s", "direction": "input"})
    }
    async with shop(tmp_path, components) as found:
        await found.start(1, 2)
        await found.advance(35)
        assert found.counts("/tick") == [3, 3]
        await found.stop(2)
        await found.advance(10)
        assert found.counts("/tick") == [4, 3]


async def test_an_event_of_a_queue_goes_to_one(tmp_path: Path) -> None:
    """An input binding that stands in for a queue hands each message to one replica."""
    components: Components = {"in": ("bindings.rabbitmq", {"queueName": "q"})}
    async with shop(tmp_path, components) as found:
        one, two = await found.start(1, 2)
        for number in range(12):
            body = msgspec.json.encode({"operation": "create", "data": number})
            answer = await call(one.api, "POST", "/v1.0/bindings/in", body)
            assert answer.status in {200, 204}
        await found.until(lambda: sum(found.counts("/in")) >= 12)
        await found.engine.work.idle()
        assert sum(found.counts("/in")) == 12
        one.line.die()
        body = msgspec.json.encode({"operation": "create", "data": 12})
        await call(two.api, "POST", "/v1.0/bindings/in", body)
        await found.until(lambda: any(each.json() == 12 for each in two.took("/in")))


# ---- actors -------------------------------------------------------------------------------------


def turns(replica: Replica) -> list[str]:
    """Return the actors that had turns at a replica."""
    paths = [each.path for each in replica.app.calls if each.path.endswith("/method/add")]
    return [path.split("/")[3] for path in paths]


async def test_actors_are_shared(tmp_path: Path) -> None:
    """An actor is at one replica, whichever sidecar is asked, and moves when that one ends."""
    documents = {"/dapr/config": ACTORS}
    async with shop(tmp_path, ACTOR_STORE, documents=documents) as found:
        one, two, three = await found.start(1, 2, 3)
        for _ in range(2):
            for number in range(30):
                api = (one, two, three)[number % 3].api
                answer = await call(api, "PUT", f"/v1.0/actors/Cart/{number}/method/add")
                assert answer.status == 200
        homes = [set(turns(each)) for each in (one, two, three)]
        assert all(homes)
        assert sum(map(len, homes)) == 30
        told = [each.runtime.metadata.describe() for each in (one, two, three)]
        assert [each.actors[0].count for each in told] == [len(home) for home in homes]
        await found.stop(2)
        ended = {each.path.split("/")[3] for each in two.app.calls if each.method == "DELETE"}
        assert ended == homes[1]
        for number in range(30):
            await call(one.api, "PUT", f"/v1.0/actors/Cart/{number}/method/add")
        assert set(turns(one)) | set(turns(three)) == {str(number) for number in range(30)}
        assert not set(turns(one)) & set(turns(three))


async def test_state_of_an_actor_that_moved(tmp_path: Path) -> None:
    """The next replica finds what the last one wrote, and only the host may write."""
    documents = {"/dapr/config": ACTORS}
    async with shop(tmp_path, ACTOR_STORE, documents=documents) as found:
        one, two = await found.start(1, 2)
        await call(one.api, "PUT", "/v1.0/actors/Cart/a/method/add")
        host, other = (one, two) if turns(one) else (two, one)
        body = b'[{"operation":"upsert","request":{"key":"n","value":7}}]'
        assert (await call(host.api, "POST", "/v1.0/actors/Cart/a/state", body)).status == 204
        assert (await call(other.api, "POST", "/v1.0/actors/Cart/a/state", body)).status == 400
        await found.stop(host.number)
        await call(other.api, "PUT", "/v1.0/actors/Cart/a/method/add")
        assert turns(other) == ["a"]
        assert (await call(other.api, "GET", "/v1.0/actors/Cart/a/state/n")).body == b"7"
        assert (await call(other.api, "POST", "/v1.0/actors/Cart/a/state", body)).status == 204


async def test_a_reminder_goes_to_the_host_of_its_actor(tmp_path: Path) -> None:
    """Its ticks follow the actor; those of a dead replica are made up for at another."""
    documents = {"/dapr/config": ACTORS}
    async with shop(tmp_path, ACTOR_STORE, documents=documents) as found:
        one, two = await found.start(1, 2)
        for number in range(8):
            target = f"/v1.0/actors/Cart/{number}/reminders/r"
            body = b'{"dueTime":"1s","period":"R4/PT1S"}'
            assert (await call(one.api, "POST", target, body)).status == 204
        await found.advance(2)
        before = [ticks(one), ticks(two)]
        assert sum(before) == 16
        assert all(before)
        two.line.die()
        await found.advance(0.5)
        await two.runtime.close(0.0)
        await found.advance(20)
        assert ticks(one) + ticks(two) == 32
        assert ticks(two) == before[1]


def ticks(replica: Replica) -> int:
    """Return how many ticks of reminders got to a replica."""
    return sum("/method/remind/" in each.path for each in replica.app.calls)


# ---- what each replica has for itself -----------------------------------------------------------


async def test_configuration_updates_go_to_each(tmp_path: Path) -> None:
    """Whoever subscribed is told, each by its own sidecar."""
    components: Components = {"settings": ("configuration.daprflow", {})}
    async with shop(tmp_path, components) as found:
        one, two = await found.start(1, 2)
        for each in (one, two):
            target = "/v1.0/configuration/settings/subscribe?key=limit"
            assert (await call(each.api, "GET", target)).status == 200
        body = b'{"value":"5"}'
        put = await call(one.api, "PUT", "/daprflow/configuration/settings/limit", body)
        assert put.status == 204
        await found.until(lambda: found.counts("/configuration/settings/limit") == [1, 1])


async def test_the_metadata_of_each(tmp_path: Path) -> None:
    """Every sidecar describes itself: one app id, its own subscriptions and labels."""
    documents = {"/dapr/subscribe": TOPIC}
    async with shop(tmp_path, {"pubsub": ("pubsub.in-memory", {})}, documents=documents) as found:
        one, two = await found.start(1, 2)
        await call(one.api, "PUT", "/v1.0/metadata/role", b"first")
        told = [msgspec.json.decode((await call(each.api, "GET", "/v1.0/metadata")).body)
                for each in (one, two)]  # fmt: skip
        assert [each["id"] for each in told] == [APP, APP]
        assert [len(each["subscriptions"]) for each in told] == [1, 1]
        assert [each["extended"].get("role") for each in told] == ["first", None]
        assert list(found.engine.runtimes.of(APP)) == [one.runtime, two.runtime]
        await found.stop(1)
        assert list(found.engine.runtimes.of(APP)) == [two.runtime]
