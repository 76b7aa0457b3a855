"""Proxies: typed ones, ones of other teams' interfaces, calls by name, and what they refuse."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from daprflow import Actor, ActorError, ActorInterface, DaprFlow, actor_method
from daprflow.client import RawActor
from daprflow.protocol.http import HttpRequest, HttpResponse
from tests.helpers.actor_stage import hosting


class Line(msgspec.Struct):
    sku: str
    count: int = 1


class Till(ActorInterface, actor_type="TillActor"):
    """The interface as another team publishes it."""

    async def total(self, lines: list[Line], factor: float = 1.0) -> float:
        raise NotImplementedError

    @actor_method("Reset/All")
    async def reset(self) -> None:
        raise NotImplementedError


class TillHost(Actor[int], Till):
    async def total(self, lines: list[Line], factor: float = 1.0) -> float:
        self.state += sum(line.count for line in lines)
        return self.state * factor

    @actor_method("Reset/All")
    async def reset(self) -> None:
        self.state = 0

    async def echo(self, text: str) -> str:
        return text

    async def moment(self, at: datetime, late: timedelta | None = None) -> datetime:
        return at + (late or timedelta())

    async def raw(self, photo: bytes) -> bytes:
        return photo[::-1]

    async def raises(self, what: str) -> None:
        raise {"key": KeyError("sku"), "object": ValueError(Line("tea")), "none": ValueError()}[
            what
        ]

    async def maybe(self, line: Line | None = None) -> Line | None:
        return line


def tills() -> DaprFlow:
    """An app that hosts tills."""
    app = DaprFlow("tills")
    app.actor(TillHost)
    return app


async def test_an_interface_calls_its_actor() -> None:
    """A class without the implementation calls the type it names, by the methods' own names."""
    async with hosting(tills()) as stage:
        till = stage.client.actor(Till, "1")
        assert await till.total([Line("tea", 2), Line("cup")]) == 3.0
        assert await till.total([], 0.5) == 1.5
        assert await till.total(factor=2.0, lines=[]) == 6.0
        await till.reset()
        assert stage.sidecar.value("TillActor", "1") == 0
        assert stage.sidecar.requests[-2] == "PUT /v1.0/actors/TillActor/1/method/Reset%2FAll"


async def test_calls_by_name() -> None:
    """Without a class, arguments go as they are and the answer is bytes or what is asked for."""
    async with hosting(tills()) as stage:
        till = stage.client.actor("TillActor", "1")
        assert isinstance(till, RawActor)
        assert (till.kind, till.id, repr(till)) == ("TillActor", "1", "<actor TillActor/1>")
        assert await till.invoke("total", [Line("tea", 2)], 2.0, returns=float) == 4.0
        assert await till.invoke("echo", "10h") == b'"10h"'
        assert await till.invoke("raw", b"\x00\x01") == b"\x01\x00"
        assert await till.invoke("Reset/All") == b"null"
        assert await till.invoke("maybe", returns=Line | None) is None  # type: ignore[arg-type]  # PEP 747


@pytest.mark.parametrize(
    "text", ["10h", "2024-01-02", "2024-01-02-order-77", '{"a":1}', "", "null"]
)
async def test_a_string_stays_a_string(text: str) -> None:
    """D4: what is annotated `str` arrives as it was sent; the official SDK makes times of some."""
    async with hosting(tills()) as stage:
        assert await stage.client.actor(TillHost, "1").echo(text) == text


async def test_types_decide() -> None:
    """Dates, durations and Structs arrive as what the method says they are."""
    at = datetime(2026, 1, 2, tzinfo=UTC)
    async with hosting(tills()) as stage:
        till = stage.client.actor(TillHost, "1")
        assert await till.moment(at, timedelta(hours=1)) == at + timedelta(hours=1)
        assert await till.moment(at) == at
        assert await till.maybe(Line("tea")) == Line("tea")
        assert await till.maybe() is None


@pytest.mark.row("S-25")
@pytest.mark.parametrize(("what", "message"), [("key", "sku"), ("object", ""), ("none", "")])
async def test_errors_carry_no_repr(what: str, message: str) -> None:
    """The caller is told the class and the text of an exception, never a repr or a stack."""
    async with hosting(tills()) as stage:
        with pytest.raises(ActorError) as caught:
            await stage.client.actor(TillHost, "1").raises(what)
        assert caught.value.message == message
        assert "Line(" not in str(caught.value)
        assert "Traceback" not in caught.value.body.decode()


async def test_a_proxy_has_methods_alone() -> None:
    """State, helpers and private methods are the actor's own affair."""
    async with hosting(tills()) as stage:
        till = stage.client.actor(TillHost, "1")
        for name in ("state", "remind", "_memory", "nothing"):
            with pytest.raises(AttributeError, match="its own affair"):
                getattr(till, name)


async def test_wrong_arguments_are_refused_before_they_are_sent() -> None:
    """Too many, too few or unknown arguments are a TypeError, as for a function."""
    async with hosting(tills()) as stage:
        till: Any = stage.client.actor(TillHost, "1")
        for call in (till.echo, lambda: till.echo("a", "b"), lambda: till.echo(nope="a")):
            with pytest.raises(TypeError, match="method 'echo' of actor 'TillActor/1'"):
                await call()
        with pytest.raises(TypeError, match="derives from Actor"):
            stage.client.actor(dict, "1")  # type: ignore[type-var]  # the point
        assert stage.sidecar.requests == []


async def test_arguments_that_do_not_fit_are_told() -> None:
    """A body that is not what the method takes is an error with the place, and runs nothing."""
    async with hosting(tills()) as stage:
        till = stage.client.actor("TillActor", "1")
        with pytest.raises(
            ActorError, match=r"Expected `int`, got `str` - at `\$\[0\]\[0\]\.count`"
        ):
            await till.invoke("total", [{"sku": "tea", "count": "two"}], 1.0)
        with pytest.raises(ActorError, match="it takes 'text'"):
            await till.invoke("echo")
        assert stage.sidecar.store == {}


@pytest.mark.parametrize(
    "actor_id", ["a/b", "a|b", "a b", "a.b", ".", "..", "ñ→", "a%2Fb", "a?b#c", "m/method/x"]
)
async def test_any_text_is_an_id(actor_id: str) -> None:
    """An actor's id may hold anything; the actor knows it as it was given."""
    async with hosting(tills()) as stage:
        assert await stage.client.actor(TillHost, actor_id).total([Line("tea")]) == 1.0
        (host,) = stage.app.actor_hosts()
        assert host.active == (actor_id,)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/actors/TillActor/a/b/method/echo", 200),
        ("/actors/TillActor/m/method/x/method/echo", 200),
        ("/actors/TillActor/a/method/Reset/All", 200),
        ("/actors/TillActor/a/method/nothing", 404),
        ("/actors/Ghost/a/method/echo", 500),
        ("/actors/TillActor", 500),
        ("/actors/TillActor/a", 500),
        ("/actors//a/method/echo", 500),
    ],
)
async def test_paths_are_taken_apart_by_hand(path: str, status: int) -> None:
    """Slashes that a runtime leaves bare are told from others; what is unknown is 500."""
    async with hosting(tills()) as stage:
        answer = await stage.sidecar.to_app(HttpRequest("PUT", path, (), b'"x"'))
        assert answer.status == status


@pytest.mark.row("S-33")
async def test_calls_of_other_apps_pass_and_forgeries_do_not() -> None:
    """An actor's call names its caller; service invocations and forged ticks are refused."""
    caller = (("dapr-caller-app-id", "shop"),)
    forged = (*caller, ("dapr-callee-app-id", "tills"))
    async with hosting(tills()) as stage:
        app = stage.sidecar
        assert (await app.call("TillActor", "1", "echo", b'"x"', caller)).status == 200
        assert (await app.call("TillActor", "1", "echo", b'"x"', forged)).status == 403
        for method, path in (
            ("PUT", "/method/timer/t"),
            ("PUT", "/method/remind/r"),
            ("DELETE", ""),
        ):
            request = HttpRequest(method, f"/actors/TillActor/1{path}", caller, b"{}")
            assert (await app.to_app(request)).status == 403


async def test_errors_of_other_sdks_are_kept() -> None:
    """An actor error in another form is an ActorError with its body; so is one of the runtime."""
    async with hosting(tills()) as stage:
        marked = HttpResponse(200, (("x-daprerrorresponseheader", "1"),), b"<xml/>")
        stage.sidecar.refuse = lambda _: marked
        with pytest.raises(ActorError, match="see 'body'") as caught:
            await stage.client.actor("TillActor", "1").invoke("echo")
        assert (caught.value.type, caught.value.body) == ("", b"<xml/>")
        text = b'{"errorCode":"ERR_ACTOR_INVOKE_METHOD","message":"did not find address for actor"}'
        stage.sidecar.refuse = lambda _: HttpResponse(500, (), text)
        with pytest.raises(ActorError, match="no app that runs hosts actors of type") as caught:
            await stage.client.actor("TillActor", "1").invoke("echo")
        assert caught.value.code == "ERR_ACTOR_INVOKE_METHOD"
        stage.sidecar.refuse = lambda _: HttpResponse(200, (), b'{"no":1}')
        with pytest.raises(ActorError, match="the answer of method 'echo'"):
            await stage.client.actor(TillHost, "1").echo("x")
