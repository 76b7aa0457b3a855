"""Actors of an HTTP app: the requests that reach it, and what its answers mean."""

import msgspec
import pytest

from daprflow.protocol.http import HttpRequest, HttpResponse
from daprflow.sidecar.actors.host import (
    ActorCall,
    ActorRaised,
    HostAway,
    HostFailed,
    MethodMissing,
    TimerDue,
)
from daprflow.sidecar.actors.http_host import HttpActorHost, go_path
from daprflow.sidecar.channel.base import AppAway, AppChannel, AppUnreachable
from daprflow.sidecar.channel.in_process import AsgiChannel
from tests.helpers.recording import Answer, RecordingApp


def hosting(*answers: Answer) -> tuple[HttpActorHost, RecordingApp]:
    """Return a host whose app gives these answers, one after the other."""
    left = list(answers)
    app = RecordingApp(lambda _: left.pop(0) if left else Answer())
    channel = AsgiChannel(app)
    return HttpActorHost(lambda: channel), app


async def test_what_an_app_is_asked() -> None:
    """Calls, ticks and ends are PUT and DELETE requests below /actors."""
    host, app = hosting()
    await host.invoke("T", "a b", ActorCall("m", b"x", (("x-a", "1"),), "q=1"))
    await host.remind("T", "1", "r", msgspec.Raw(b"[1]"))
    await host.remind("T", "1", "r", msgspec.UNSET)
    await host.fire("T", "1", TimerDue("t", "cb", "1s", "R1/PT1S", msgspec.Raw(b"{}")))
    await host.deactivate("T", "1")
    asked = [(call.method, call.target, call.body) for call in app.calls]
    assert asked == [
        ("PUT", "/actors/T/a%20b/method/m?q=1", b"x"),
        ("PUT", "/actors/T/1/method/remind/r", b'{"data":[1],"dueTime":"","period":""}'),
        ("PUT", "/actors/T/1/method/remind/r", b'{"dueTime":"","period":""}'),
        (
            "PUT",
            "/actors/T/1/method/timer/t",
            b'{"data":{},"callback":"cb","dueTime":"1s","period":"R1/PT1S"}',
        ),
        ("DELETE", "/actors/T/1", b""),
    ]
    assert app.calls[0].header("x-a") == "1"
    assert app.calls[4].header("content-type") == "application/x-protobuf"


@pytest.mark.row("I-AC")
@pytest.mark.parametrize(
    ("answer", "error", "text"),
    [
        (Answer(404), MethodMissing, "actor method not found: actors/T/1/method/m"),
        (Answer(204), HostFailed, r"error from actor service: \(204\) $"),
        (Answer(201, b"made"), HostFailed, r"error from actor service: \(201\) made"),
        (Answer(200, headers={"X-DaprReminderCancel": "true"}), HostFailed, "been canceled"),
    ],
)
async def test_failed_methods(answer: Answer, error: type[HostFailed], text: str) -> None:
    """All but 200 is a failure, and 404 one that no further attempt mends."""
    host, _ = hosting(answer)
    with pytest.raises(error, match=text):
        await host.invoke("T", "1", ActorCall("m", b""))


@pytest.mark.row("I-AC")
async def test_the_actors_own_error() -> None:
    """200 with the error header is the actor's answer, and a failure; another status is not."""
    marked = {"X-DaprErrorResponseHeader": "x"}
    host, _ = hosting(Answer(200, b"why", headers=marked), Answer(418, b"no", headers=marked))
    with pytest.raises(ActorRaised) as raised:
        await host.invoke("T", "1", ActorCall("m", b""))
    assert raised.value.answer.data == b"why"
    with pytest.raises(HostFailed, match=r"\(418\) no"):
        await host.invoke("T", "1", ActorCall("m", b""))


@pytest.mark.parametrize("value", ["true", "1", "Yes"])
async def test_a_cancelled_reminder_is_a_good_tick(value: str) -> None:
    """The header that asks for a reminder's end makes no failure of its tick."""
    answer = Answer(200, headers={"X-DaprReminderCancel": value})
    host, _ = hosting(answer, answer)
    await host.remind("T", "1", "r", msgspec.UNSET)
    await host.fire("T", "1", TimerDue("t", "", "", ""))


async def test_an_end_that_is_not_taken() -> None:
    """An answer other than 200 to a deactivation is a failure."""
    host, _ = hosting(Answer(500, b"no"))
    with pytest.raises(HostFailed, match=r"\(500\) no"):
        await host.deactivate("T", "1")


class Broken(AsgiChannel):
    """A way to an app that does not answer."""

    def __init__(self, error: AppUnreachable) -> None:
        self._error = error

    async def send(self, request: HttpRequest, /) -> HttpResponse:
        """Fail."""
        raise self._error


@pytest.mark.parametrize(
    ("error", "expected"), [(AppAway("gone"), HostAway), (AppUnreachable("broke"), HostFailed)]
)
async def test_an_app_that_does_not_answer(
    error: AppUnreachable, expected: type[HostFailed]
) -> None:
    """It is told apart whether anything reached the app."""
    channel: AppChannel = Broken(error)
    host = HttpActorHost(lambda: channel)
    with pytest.raises(expected) as raised:
        await host.invoke("T", "1", ActorCall("m", b""))
    assert type(raised.value) is expected


@pytest.mark.parametrize(
    ("path", "written"),
    [
        ("/actors/T/1", "/actors/T/1"),
        ("/actors/T/a b", "/actors/T/a%20b"),
        ("/actors/T/a%2Fb", "/actors/T/a%2Fb"),
        ("/actors/T/a%2Fb c", "/actors/T/a/b%20c"),
        ("/actors/T/ä", "/actors/T/%C3%A4"),
        ("/actors/T/a|b", "/actors/T/a%7Cb"),
    ],
)
def test_paths_as_go_writes_them(path: str, written: str) -> None:
    """What is escaped stays so where nothing else must be; else all is escaped anew."""
    assert go_path(path) == written


def test_a_percent_sign_that_escapes_nothing() -> None:
    """It is refused, as Go's client does."""
    with pytest.raises(HostFailed, match='invalid URL escape "%zz"'):
        go_path("/actors/T/%zz")
