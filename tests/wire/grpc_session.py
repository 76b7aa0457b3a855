"""The recorded calls of the gRPC API, and a session in which a sidecar gets them again.

Events of calls that ran side by side are played in the recorded order: a call that waited for
another one waits here, too.
"""

import asyncio
import contextlib
import os
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import grpc
import msgspec
from dapr.proto.runtime.v1 import dapr_pb2
from google.protobuf import (
    wrappers_pb2,  # noqa: F401 - the data of a recorded job are of a type in there
)
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message_factory import GetMessageClass

from daprflow.sidecar.options import RuntimeOptions
from tests.helpers.grpc_sidecar import GrpcSidecar, grpc_sidecar
from tests.helpers.keys import write_keys
from tests.helpers.servers import REDIS, RedisServer, redis_server
from tests.helpers.sidecar import Components
from tests.helpers.topic_streams import within
from tests.wire.normal import UUID
from tests.wire.session import COMPONENTS, ON_REDIS, SECRETS, change_configuration, do_on_redis
from tests.wire.transcript import FOLDER

T = TypeVar("T")

APP = "gapp"
ANSWER = 10.0
"""Seconds within which a recorded answer has to come."""
WAITS = ("/InvokeActor", "/TerminateWorkflowBeta1")
"""Methods that look for a host for a while before they give up."""
CANCELLED = "CANCELLED_BY_CLIENT"

BEFORE = {
    (63, "start"): ("set color blue||1", "set size 10"),
    (66, "response 2"): ("set color red||2",),
}
"""What the recording's driver did to the configuration store before an event of a call."""


class Event(msgspec.Struct, frozen=True):
    """One event of one recorded call."""

    call: int
    method: str
    event: str
    value: Any
    t: float


@dataclass(slots=True)
class Outcome:
    """What a call brought: its answers, and how it ended."""

    method: str
    responses: list[Any] = field(default_factory=list)
    end: dict[str, Any] = field(default_factory=dict)


def read_events(name: str) -> list[Event]:
    """Read the recording called ``name``; none where the folder is absent."""
    path = FOLDER / name
    if not path.exists():
        return []
    decoder = msgspec.json.Decoder(Event)
    return [decoder.decode(line) for line in path.read_bytes().splitlines()]


def recorded_calls(events: Sequence[Event]) -> dict[int, Outcome]:
    """Return what every call of a recording brought, by its number."""
    calls: dict[int, Outcome] = {}
    for event in events:
        call = calls.setdefault(event.call, Outcome(event.method.rpartition("/")[2]))
        if event.event == "response":
            call.responses.append(event.value)
        elif event.event == "end":
            call.end = event.value
    return calls


class Player:
    """Plays events on a sidecar.

    Args:
        sidecar: gets the calls.
        recorded: what they brought; ids in it are replaced by those that come here.
        configure: does a command to the configuration store.
    """

    def __init__(
        self,
        sidecar: GrpcSidecar,
        recorded: dict[int, Outcome],
        configure: Callable[[str], Awaitable[None]],
    ) -> None:
        self._sidecar = sidecar
        self._recorded = recorded
        self._configure = configure
        self._calls: dict[int, Any] = {}
        self._sealed = ""
        self._ids: dict[str, str] = {}
        self.observed: dict[int, Outcome] = {}

    async def play(self, event: Event) -> None:
        """Play one event; what answers it is kept."""
        outcome = self.observed.setdefault(event.call, Outcome(event.method.rpartition("/")[2]))
        name = event.event
        if name == "response":
            name = f"response {len(outcome.responses) + 1}"
        for command in BEFORE.get((event.call, name), ()):
            await self._configure(command)
        match event.event:
            case "start":
                self._calls[event.call] = self._open(event.method)
            case "request":
                await self._write(event)
            case "half-close":
                await self._close(event)
            case "response":
                await self._read(event, outcome)
            case "end":
                outcome.end = await self._end(event)

    def _open(self, method: str) -> Any:
        known = dapr_pb2.DESCRIPTOR.services_by_name["Dapr"].methods_by_name[
            method.rpartition("/")[2]
        ]
        request, response = GetMessageClass(known.input_type), GetMessageClass(known.output_type)
        multi = self._sidecar.channel.stream_stream(
            method,
            request_serializer=request.SerializeToString,
            response_deserializer=response.FromString,
        )
        return multi(), request

    async def _write(self, event: Event) -> None:
        call, request = self._calls[event.call]
        text = msgspec.json.encode(event.value).decode()
        value = msgspec.json.decode(UUID.sub(lambda id_: self._ids.get(id_[0], id_[0]), text))
        if event.method.endswith("/DecryptAlpha1"):  # the recorded document is of another key
            value["payload"]["data"] = self._sealed
        with ended_already():
            await call.write(ParseDict(value, request()))

    async def _close(self, event: Event) -> None:
        call, _ = self._calls[event.call]
        if self._recorded[event.call].end["code"] == CANCELLED:
            call.cancel()
        else:
            with ended_already():
                await call.done_writing()

    async def _read(self, event: Event, outcome: Outcome) -> None:
        call, _ = self._calls[event.call]
        answer: Any = grpc.aio.EOF
        with ended_already():
            answer = await self._within(event, call.read())
        if answer is grpc.aio.EOF:
            outcome.responses.append("nothing")
            return
        value = MessageToDict(answer, preserving_proto_field_name=True)
        outcome.responses.append(value)
        recorded, found = (UUID.findall(str(each)) for each in (event.value, value))
        if len(recorded) == len(found):
            self._ids.update(zip(recorded, found, strict=True))
        if event.method.endswith("/EncryptAlpha1"):
            self._sealed = _joined(self._sealed, value["payload"]["data"])

    async def _within(self, event: Event, work: Awaitable[T]) -> T:
        """Wait for ``work``; time passes only where the runtime waited, too."""
        if event.method.endswith(WAITS):
            return await within(self._sidecar, work)
        return await asyncio.wait_for(work, ANSWER)

    async def _end(self, event: Event) -> dict[str, Any]:
        call, _ = self._calls[event.call]
        if event.value["code"] == CANCELLED:
            call.cancel()
            return {"code": CANCELLED}
        code = await self._within(event, call.code())
        if code is grpc.StatusCode.OK:
            trailers = [[name, value] for name, value in await call.trailing_metadata() or ()]
            return {"code": "OK", "trailers": trailers}
        return {"code": code.name, "details": await call.details()}


@contextlib.contextmanager
def ended_already() -> Iterator[None]:
    """Let a call be over before its end is looked at."""
    with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
        yield


def _joined(first: str, second: str) -> str:
    """Return what two texts in base64 stand for, as one."""
    return b64encode(b64decode(first) + b64decode(second)).decode()


async def play_calls(root: Path, events: Sequence[Event]) -> dict[int, Outcome]:
    """Start a sidecar as the recording's and play every event; on Redis where there is one."""
    keys = root / "keys"
    write_keys(keys)
    (root / "secrets.json").write_text(SECRETS, encoding="utf-8")
    components: Components = {
        name: (kind, {key: value.format(root=root) for key, value in metadata.items()})
        for name, (kind, metadata) in COMPONENTS.items()
    } | {"crypto": ("crypto.dapr.localstorage", {"path": str(keys)})}
    if not os.environ.get(REDIS):
        return await _play(root, events, components, None)
    async with redis_server() as server:
        on_redis = {name: (kind, dict(server.metadata)) for name, kind in ON_REDIS.items()}
        return await _play(root, events, {**components, **on_redis}, server)


async def _play(
    root: Path, events: Sequence[Event], components: Components, server: RedisServer | None
) -> dict[int, Outcome]:
    async with grpc_sidecar(root, components, options=RuntimeOptions(APP)) as sidecar:
        configure = (
            partial(do_on_redis, server)
            if server is not None
            else partial(change_configuration, sidecar.inner.runtime)
        )
        player = Player(sidecar, recorded_calls(events), configure)
        for event in events:
            await player.play(event)
        return player.observed
