"""The life of an actor: its turn, calls that come back, callers that leave, its end."""

import asyncio
import socket
from itertools import chain
from typing import Any

import msgspec
import pytest

from daprflow import Actor, ActorError, Client, DaprFlow
from daprflow.protocol.http import HttpRequest, HttpResponse
from daprflow.settings import Settings
from daprflow.transports.server import HttpServer
from tests.helpers.actor_stage import ActorSidecar, hosting
from tests.helpers.timing import eventually

Log = list[str]


class Lived(msgspec.Struct):
    log: list[str] = []


class LiveActor(Actor[Lived]):
    def __init__(self, client: Client, told: Log) -> None:
        self.client = client
        self.told = told

    async def on_activate(self) -> None:
        self.told.append(f"activate {self.id}")
        self.state.log.append("activated")

    async def on_deactivate(self) -> None:
        self.told.append(f"deactivate {self.id} {len(self.state.log)}")

    async def slow(self, name: str, rounds: int) -> list[str]:
        self.told.append(f"begin {name}")
        for _ in range(rounds):
            await asyncio.sleep(0)
        self.state.log.append(name)
        self.told.append(f"end {name}")
        return self.state.log

    async def show(self) -> list[str]:
        return self.state.log

    async def hang(self) -> None:
        self.state.log.append("hang")
        self.told.append("hanging")
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.told.append("hung up")

    async def nest(self, other: str, error: str) -> list[str]:
        self.state.log.append("outer")
        try:
            await self.client.actor(LiveActor, other).back(self.id, error)
        except ActorError:
            self.told.append("caught")
        self.state.log.append("outer again")
        return self.state.log

    async def back(self, origin: str, error: str) -> None:
        await self.client.actor(LiveActor, origin).inner(error)

    async def through(self, other: str) -> None:
        await self.client.actor(LiveActor, other).back(self.id, "")

    async def inner(self, error: str) -> list[str]:
        self.state.log.append("inner")
        if error:
            raise ValueError(error)
        return self.state.log

    async def twice_at_once(self) -> None:
        me = self.client.actor(LiveActor, self.id)
        await asyncio.gather(me.slow("sibling", 20), me.inner("no"), return_exceptions=True)

    async def later(self) -> None:
        async def touch() -> None:
            await asyncio.sleep(0.01)
            try:
                self.state.log.append("late")
            except RuntimeError as error:
                self.told.append(str(error)[:36])

        self.task = asyncio.create_task(touch())

    async def self_call(self) -> None:
        await self.client.actor(LiveActor, self.id).show()


def live(told: Log, **options: Any) -> DaprFlow:
    """An app with one type whose actors write down what happens to them."""
    app = DaprFlow("live")
    app.actor(**options)(LiveActor)

    @app.provide
    def log() -> Log:
        return told

    return app


async def test_one_turn_at_a_time_in_order() -> None:
    """Calls of one id wait for each other in the order they came; other ids do not wait."""
    told: Log = []
    async with hosting(live(told)) as stage:
        ann, bob = stage.client.actor(LiveActor, "ann"), stage.client.actor(LiveActor, "bob")
        await asyncio.gather(*(ann.slow(f"a{n}", 5 - n) for n in range(4)), bob.slow("b", 1))
        turns = [
            each for each in told if each.split()[-1].startswith("a") and "activate" not in each
        ]
        assert turns == [f"{word} a{n}" for n in range(4) for word in ("begin", "end")]
        assert told.index("begin b") < told.index("end a3")
        assert await ann.show() == ["activated", "a0", "a1", "a2", "a3"]


async def test_activation_is_once() -> None:
    """Many first calls at once activate an actor once."""
    told: Log = []
    async with hosting(live(told)) as stage:
        await asyncio.gather(*(stage.client.actor(LiveActor, "ann").show() for _ in range(20)))
        assert told == ["activate ann"]


async def test_deactivation_and_a_new_life() -> None:
    """After the sidecar's DELETE the next call activates anew, with the state as it was saved."""
    told: Log = []
    async with hosting(live(told)) as stage:
        ann = stage.client.actor(LiveActor, "ann")
        await ann.slow("x", 0)
        await stage.sidecar.deactivate("LiveActor", "ann")
        assert (await stage.sidecar.deactivate("LiveActor", "ann")).status == 200
        assert await ann.show() == ["activated", "x", "activated"]
        assert told == ["activate ann", "begin x", "end x", "deactivate ann 2", "activate ann"]


async def test_deactivation_waits_for_the_turn() -> None:
    """An actor is never in memory twice: its end waits for its turn, and calls wait for its end."""
    told: Log = []
    async with hosting(live(told)) as stage:
        ann = stage.client.actor(LiveActor, "ann")
        turn = asyncio.create_task(ann.slow("x", 30))
        await eventually(lambda: "begin x" in told)
        await asyncio.gather(stage.sidecar.deactivate("LiveActor", "ann"), ann.show(), turn)
        assert told == ["activate ann", "begin x", "end x", "deactivate ann 2", "activate ann"]


async def test_actors_end_with_their_app() -> None:
    """When the app stops, every actor in memory is deactivated."""
    told: Log = []
    async with hosting(live(told)) as stage:
        for name in ("ann", "bob"):
            await stage.client.actor(LiveActor, name).show()
    assert told[2:] == ["deactivate ann 1", "deactivate bob 1"]


async def test_calls_come_back_into_their_turn() -> None:
    """With reentrancy, A → B → A sees what the turn did; the outermost call saves, once."""
    told: Log = []
    sidecar = ActorSidecar(with_ids=True)
    async with hosting(live(told, reentrant=True), sidecar) as stage:
        log = await stage.client.actor(LiveActor, "ann").nest("bob", "")
        assert log == ["activated", "outer", "inner", "outer again"]
        saves = [
            each for each in sidecar.requests if each == "PUT /v1.0/actors/LiveActor/ann/state"
        ]
        assert len(saves) == 2  # the activation's and the turn's


async def test_a_call_that_came_back_and_failed_leaves_no_trace() -> None:
    """When the inner call raises and the outer one goes on, only the outer's changes are kept."""
    told: Log = []
    async with hosting(live(told, reentrant=True), ActorSidecar(with_ids=True)) as stage:
        ann = stage.client.actor(LiveActor, "ann")
        assert await ann.nest("bob", "no") == ["activated", "outer", "outer again"]
        assert told[-1] == "caught"
        assert stage.sidecar.value("LiveActor", "ann") == {
            "log": ["activated", "outer", "outer again"]
        }


@pytest.mark.row("FA-09")
async def test_an_error_is_logged_whole_once(caplog: pytest.LogCaptureFixture) -> None:
    """FA-09: the traceback is where it was raised; those who waited for that call name it."""
    told: Log = []
    async with hosting(live(told)) as stage:
        with pytest.raises(ActorError, match="ActorError: method 'inner' of actor 'LiveActor/bob'"):
            await stage.client.actor(LiveActor, "ann").back("bob", "no")
    failed = [each for each in caplog.records if each.name == "daprflow.actors.answering"]
    assert [each.exc_info is not None for each in failed] == [True, False]
    assert failed[1].getMessage().endswith("of actor 'LiveActor/bob' failed: ValueError: no")


async def test_calls_that_came_back_together_fail_together() -> None:
    """When one of several calls that are in a turn at once fails after a change, the turn fails."""
    told: Log = []
    async with hosting(live(told, reentrant=True), ActorSidecar(with_ids=True)) as stage:
        ann = stage.client.actor(LiveActor, "ann")
        with pytest.raises(ActorError, match="TornTurn"):
            await ann.twice_at_once()
        assert await ann.show() == ["activated"]


@pytest.mark.row("FA-25")
@pytest.mark.parametrize("sidecar", [ActorSidecar(), ActorSidecar(with_ids=True)])
async def test_a_cycle_is_told(sidecar: ActorSidecar) -> None:
    """FA-25: without reentrancy, a call that would wait for itself fails and names the cycle."""
    told: Log = []
    async with hosting(live(told), sidecar) as stage:
        ann = stage.client.actor(LiveActor, "ann")
        with pytest.raises(ActorError, match="LiveActor/ann → LiveActor/ann"):
            await ann.self_call()
        with pytest.raises(ActorError, match="LiveActor/ann → LiveActor/bob → LiveActor/ann"):
            await ann.through("bob")
        assert await ann.show() == ["activated"]


@pytest.mark.row("FA-24")
@pytest.mark.parametrize(
    "headers",
    [
        (("dapr-reentrancy-id", "a-guess"),),
        (("dapr-reentrancy-id", ""),),
        (("dapr-reentrancy-id", "ÿ\x7f"), ("daprflow-turns", "%ff,,LiveActor%2Fann,%")),
    ],
)
async def test_a_made_up_id_opens_no_turn(headers: tuple[tuple[str, str], ...]) -> None:
    """FA-24: a call that claims to belong to a turn which does not know it waits as any other."""
    told: Log = []
    async with hosting(live(told, reentrant=True), ActorSidecar(with_ids=True)) as stage:
        ann = stage.client.actor(LiveActor, "ann")
        await ann.show()
        first = asyncio.create_task(ann.slow("one", 50))
        await eventually(lambda: "begin one" in told)
        answer = await stage.sidecar.call("LiveActor", "ann", "slow", b'["two", 0]', headers)
        assert answer.status == 200
        await first
        assert told[1:5] == ["begin one", "end one", "begin two", "end two"]


async def test_state_ends_with_its_turn() -> None:
    """A task that outlives its turn cannot change the state any more."""
    told: Log = []
    async with hosting(live(told)) as stage:
        ann = stage.client.actor(LiveActor, "ann")
        await ann.later()
        await eventually(lambda: "an actor has its state during a turn" in told)
        assert await ann.show() == ["activated"]


@pytest.mark.row("FA-17")
async def test_a_caller_that_leaves_ends_its_turn() -> None:
    """A lost client cancels a turn that takes long, which leaves no trace and lets others go on."""
    told: Log = []
    app = live(told)
    async with hosting(app) as stage:
        ann = stage.client.actor(LiveActor, "ann")
        await ann.show()
        gone = asyncio.Event()
        calling = asyncio.create_task(leaving(app, "hang", gone))
        await eventually(lambda: "hanging" in told)
        gone.set()
        await calling
        assert told[-1] == "hung up"
        assert await ann.show() == ["activated"]


async def test_a_caller_that_left_finds_nothing_saved() -> None:
    """A short turn whose caller is gone when it ends is not saved, either."""
    told: Log = []
    app = live(told)
    async with hosting(app) as stage:
        ann = stage.client.actor(LiveActor, "ann")
        await ann.show()
        gone = asyncio.Event()
        gone.set()
        await leaving(app, "slow", gone, b'["x",1]')
        assert told[-1] == "end x"
        assert await ann.show() == ["activated"]


async def test_an_activation_that_fails_is_tried_again() -> None:
    """When the state cannot be loaded, nothing is activated; the next call begins anew."""
    told: Log = []
    broken = HttpResponse(500, (), b'{"errorCode":"ERR_ACTOR_STATE_GET","message":"no store"}')
    async with hosting(live(told)) as stage:
        stage.sidecar.refuse = lambda request: broken if request.method == "GET" else None
        answer = await stage.sidecar.call("LiveActor", "ann", "show")
        assert (answer.status, b"no store" in answer.body) == (500, True)
        stage.sidecar.refuse = lambda _: None
        assert await stage.client.actor(LiveActor, "ann").show() == ["activated"]
        assert told == ["activate ann"]


async def leaving(app: DaprFlow, method: str, gone: asyncio.Event, body: bytes = b"") -> None:
    """Call a method of ann as a client that leaves when ``gone`` is set."""
    sent = False

    async def receive() -> dict[str, Any]:
        nonlocal sent
        if not sent:
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(_: Any) -> None:
        """Nobody listens."""

    path = f"/actors/LiveActor/ann/method/{method}"
    scope = {
        "type": "http",
        "method": "PUT",
        "path": path,
        "raw_path": path.encode(),
        "headers": [],
    }
    await app(scope, receive, send)


async def test_a_connection_that_breaks_ends_its_turn() -> None:
    """Over a socket, too, a lost client cancels its turn, and the next call goes on."""
    told: Log = []
    app = live(told)
    sidecar = ActorSidecar()
    app.client = Client(Settings(), transport=sidecar)
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    server = HttpServer(app, lifespan=True, websockets=False)
    await server.start(listener)
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = (
            b"PUT /actors/LiveActor/ann/method/%b HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n"
        )
        writer.write(head % b"hang")
        await eventually(lambda: "hanging" in told)
        writer.close()
        await eventually(lambda: "hung up" in told)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head % b"show")
        assert b"200 OK" in await reader.readline()
        answer = await reader.readuntil(b"]")
        assert answer.endswith(b'["activated"]')
        writer.close()
    finally:
        await server.stop(1.0)


async def test_last_words_see_what_is_stored(caplog: pytest.LogCaptureFixture) -> None:
    """on_deactivate reads the state as it is stored, and is told that it cannot change it."""

    class Leaving(Actor[list[str]]):
        async def add(self, text: str) -> None:
            self.state.append(text)

        async def on_deactivate(self) -> None:
            self.state.append(f"left with {len(self.state)}")

    app = DaprFlow("leaving")
    app.actor(Leaving)
    async with hosting(app) as stage:
        await stage.client.actor(Leaving, "ann").add("one")
        stage.sidecar.lose = lambda request: request.method == "PUT" and "/state" in request.target
        with pytest.raises(ActorError):
            await stage.client.actor(Leaving, "ann").add("two")
        stage.sidecar.lose = lambda _: False
        await stage.sidecar.deactivate("Leaving", "ann")
        assert stage.sidecar.value("Leaving", "ann") == ["one", "two"]
    assert "which nobody keeps" in caplog.text


async def test_a_sidecar_that_was_away_is_not_believed() -> None:
    """After a sidecar's start every state is read again: another host may have had the actor."""
    told: Log = []
    async with hosting(live(told)) as stage:
        ann = stage.client.actor(LiveActor, "ann")
        await ann.slow("x", 0)
        stage.sidecar.store["LiveActor", "ann", "state"] = b'{"log":["elsewhere"]}'
        await stage.sidecar.to_app(HttpRequest("GET", "/dapr/config"))
        assert await ann.slow("y", 0) == ["elsewhere", "y"]
        assert stage.sidecar.value("LiveActor", "ann") == {"log": ["elsewhere", "y"]}


@pytest.mark.row("FA-27")
async def test_lives_do_not_overlap() -> None:
    """FA-27: however calls and ends are mixed, one instance lives at a time and no turn is lost."""
    told: Log = []
    async with hosting(live(told)) as stage:
        ann = stage.client.actor(LiveActor, "ann")
        app = stage.sidecar
        turns = [
            app.call("LiveActor", "ann", "slow", b'["t%d",%d]' % (n, n % 3)) for n in range(10)
        ]
        ends = [app.deactivate("LiveActor", "ann") for _ in range(10)]
        await asyncio.gather(*chain(*zip(turns, ends, strict=True)))
        lives = [line.split()[0] for line in told if "activate" in line]
        assert len(lives) > 4
        assert set(lives[::2]) == {"activate"}
        assert set(lives[1::2]) == {"deactivate"}
        done = [each for each in await ann.show() if each != "activated"]
        assert sorted(done) == [f"t{number}" for number in range(10)]


@pytest.mark.parametrize("options", [{}, {"reentrant": True}])
async def test_a_cycle_through_an_activation_is_told(options: dict[str, Any]) -> None:
    """An actor that is called while it activates is told the cycle, whoever began it."""

    class Waking(Actor[None]):
        def __init__(self, client: Client) -> None:
            self.client = client

        async def on_activate(self) -> None:
            if self.id == "second":
                await self.client.actor(Waking, "first").ping()

        async def ping(self) -> None: ...

        async def wake(self, other: str) -> None:
            await self.client.actor(Waking, other).ping()

    app = DaprFlow("waking")
    app.actor(**options)(Waking)
    async with hosting(app, ActorSidecar(with_ids=True)) as stage:
        if options:
            await stage.client.actor(Waking, "first").wake("second")
            return
        with pytest.raises(ActorError, match="Waking/first → Waking/second → Waking/first"):
            await stage.client.actor(Waking, "first").wake("second")
