"""Plays a recording again: the same requests on a sidecar, the same answers of an app."""

import asyncio
import base64
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import msgspec

from daprflow.protocol.http import HttpRequest, HttpResponse
from tests.helpers.http_client import RawClient
from tests.helpers.recording import Answer, Call, RecordingApp
from tests.wire.normal import UUID
from tests.wire.transcript import RECORDED_APP_PORT, AppAnswer, Request, Step

ARRIVAL = 5.0
"""Seconds within which a recorded call has to arrive."""

ABSENCE = 0.1
"""Seconds in which a call that was not recorded would show."""

LONGEST = 120.0
"""Seconds after which a replay hangs."""

LEFT_OUT = "/tick"
"""The path of a binding that ticks all the time."""


@dataclass(frozen=True, slots=True)
class Played:
    """What came of one step; the calls on the app are those up to the next step."""

    response: HttpResponse | None
    calls: tuple[Call, ...]


def answer_of(recorded: AppAnswer) -> Answer:
    """Return a recorded answer with the headers that the recording's app gave it."""
    value = msgspec.json.decode(recorded.body)
    if isinstance(value, str):
        text = value.encode()
        return Answer(recorded.status, text, "text/plain; charset=utf-8", recorded.headers)
    body = json.dumps(value).encode()  # with its spaces, which show where a body is quoted
    return Answer(recorded.status, body, "application/json; charset=utf-8", recorded.headers)


def json_answer(value: object, status: int = 200) -> Answer:
    """Return ``value`` as the recording's app wrote JSON."""
    return Answer(status, msgspec.json.encode(value), "application/json; charset=utf-8")


class RecordedApp:
    """The behaviour of the recording's app where a step says nothing else."""

    def __init__(self, startup: Step) -> None:
        self._documents = {call.path: answer_of(call.answered) for call in startup.app_calls}

    def __call__(self, call: Call) -> Answer:
        """Answer ``call``."""
        if call.path in self._documents and call.method in {"GET", "OPTIONS"}:
            return self._documents[call.path]
        if call.path == "/echo" and call.method != "OPTIONS":
            query = call.target.partition("?")[2]
            return json_answer({"method": call.method, "query": query, "body": call.body.decode()})
        if call.path == "/fail":
            return json_answer({"oops": 1}, 500)
        if call.path == "/on-bulk":
            entries = [entry["entryId"] for entry in call.json()["entries"]]
            return json_answer(
                {"statuses": [{"entryId": entry, "status": "SUCCESS"} for entry in entries]}
            )
        if call.path.startswith("/actors/") and call.method == "PUT":
            return json_answer({"seen": call.path})
        known = call.path.startswith(("/on-", "/actors/")) or call.path == LEFT_OUT
        text = "text/plain; charset=utf-8"
        return Answer(
            200 if known and call.method in {"POST", "DELETE"} else 404, content_type=text
        )


class Replay:
    """One session of steps in order; ``redis`` does what such a command does."""

    def __init__(
        self,
        client: RawClient,
        app: RecordingApp,
        app_port: int,
        redis: Callable[[str], Awaitable[None]],
    ) -> None:
        self._redis = redis
        self._client = client
        self._app = app
        self._app_port = str(app_port)
        self._ids: dict[str, str] = {}

    async def play(self, step: Step) -> Played:
        """Play one step and wait for the calls it brings about."""
        seen = len(self._app.calls) if step.request else 0
        await self._prepare(step)
        response = None
        if step.request is not None:
            response = await self._client.send(self._request(step.request))
            self._learn(step, response)
        await self._wait(step, seen)
        return Played(response, tuple(self.calls_since(seen)))

    def calls_since(self, seen: int) -> list[Call]:
        """Return the calls after the first ``seen`` ones, without the ticking binding's."""
        return [
            call
            for call in self._app.calls[seen:]
            if (call.path, call.method) != (LEFT_OUT, "POST")
        ]

    async def _prepare(self, step: Step) -> None:
        for before in step.before:
            if before.redis:
                await self._redis(before.redis)
            for path, answer in before.app_answers.items():
                if isinstance(answer, str):
                    self._app.answers.pop(path, None)
                else:
                    self._app.answers[path] = answer_of(answer)

    def _request(self, recorded: Request) -> HttpRequest:
        body = recorded.body or ""
        data = base64.b64decode(body["base64"]) if isinstance(body, dict) else body.encode()
        target = recorded.path.replace(RECORDED_APP_PORT, self._app_port)
        for ours, theirs in self._ids.items():
            data = data.replace(ours.encode(), theirs.encode())
            target = target.replace(ours, theirs)
        return HttpRequest(
            recorded.method,
            target,
            tuple(recorded.headers.items()),
            data,
        )

    def _learn(self, step: Step, observed: HttpResponse) -> None:
        """Note which observed id stands for which recorded one: later requests carry it."""
        recorded = step.response
        if recorded is None:
            return
        old = UUID.findall(f"{recorded.headers}{recorded.body}")
        new = UUID.findall(f"{observed.headers}{observed.body.decode('latin-1')}")
        if len(old) == len(new):
            self._ids.update(zip(old, new, strict=True))

    async def _wait(self, step: Step, seen: int) -> None:
        expected = len(expected_calls(step))

        def arrived() -> bool:
            return len(self.calls_since(seen)) >= expected

        if "ttl get" in step.step:
            await asyncio.sleep(step.wait_s)  # the next step is about the time that passed
        elif expected:
            await self._app.wait_until(arrived, ARRIVAL)
        elif step.wait_s:
            count = len(self._app.calls)
            await self._app.wait_until(lambda: len(self._app.calls) > count, ABSENCE)


def expected_calls(step: Step) -> Sequence[AppAnswer]:
    """Return the answers to the recorded calls of ``step``, without the ticking binding's."""
    return [
        call.answered for call in step.app_calls if (call.path, call.method) != (LEFT_OUT, "POST")
    ]


async def play_all(replay: Replay, steps: Sequence[Step]) -> list[Played]:
    """Play every step in order; the first one is what happened before any request."""
    played = []
    started = time.monotonic()
    for step in steps:
        played.append(await replay.play(step))
        assert time.monotonic() - started < LONGEST, f"the replay hangs at '{step.step}'"
    return played
