"""What a joining run and the host of its data folder say to each other: one JSON line each."""

import asyncio
import contextlib
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from daprflow.launcher.options import SidecarOptions, Tokens
from daprflow.launcher.sidecar import AppSpec, SidecarInfo

LINE_LIMIT = 1024 * 1024
"""Bytes of the longest line; only an app with thousands of schedules needs as much."""

M = TypeVar("M")


class Join(msgspec.Struct, frozen=True, tag="join"):
    """The first line: proves that its sender may read ``run.json``, and asks for ports.

    Attributes:
        app_id: of the app that is to come, where that is known before it is imported.
    """

    token: str
    ephemeral: bool
    dapr_http_port: int | None = None
    dapr_grpc_port: int | None = None
    app_port: int | None = None
    enable_metrics: bool = False
    metrics_port: int | None = None
    app_id: str | None = None


class Start(msgspec.Struct, frozen=True, tag="start"):
    """`Sidecar.start`; every path in it is absolute, ``base`` is the working folder.

    Attributes:
        pid: the process of the run.
        replica: which one it is of those of its app.
        logs: the files that the app's lines come to.
    """

    number: int
    app: AppSpec
    options: SidecarOptions
    tokens: Tokens
    base: str = ""
    pid: int = 0
    replica: int = 1
    logs: tuple[str, ...] = ()


class Serving(msgspec.Struct, frozen=True, tag="serving"):
    """Which process of the app serves now; needs no answer, and leaves what is asked alone."""

    pid: int


class Connect(msgspec.Struct, frozen=True, tag="connect"):
    """`Sidecar.connect`."""

    number: int


class Pause(msgspec.Struct, frozen=True, tag="pause"):
    """`Sidecar.pause`."""

    number: int


class Reconnect(msgspec.Struct, frozen=True, tag="reconnect"):
    """`Sidecar.reconnect`."""

    number: int
    app: AppSpec


class Close(msgspec.Struct, frozen=True, tag="close"):
    """`Sidecar.close`."""

    number: int
    grace: float


Request = Start | Connect | Pause | Reconnect | Close
"""Each supersedes the one before, which is cancelled if it still runs."""

Words = Request | Serving
"""What a run that joined says after the first line."""


class Welcome(msgspec.Struct, frozen=True, tag="welcome"):
    """The answer to `Join`: the ports of the APIs that the host holds for the app."""

    http_port: int
    grpc_port: int
    metrics_port: int | None = None


class Done(msgspec.Struct, frozen=True, tag="done"):
    """The answer to a request; ``info`` describes the sidecar."""

    number: int
    info: SidecarInfo | None = None


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """The other answer: one line for the user and the exit code; 0 is the number of `Join`."""

    number: int
    text: str
    code: int


class Ended(msgspec.Struct, frozen=True, tag="ended"):
    """The sidecar of this app ended by itself; ``forced`` if it was told to do so at once."""

    text: str
    forced: bool = False


class Said(msgspec.Struct, frozen=True, tag="said"):
    """A log line of the sidecars, from a host that has no terminal of its own."""

    text: str


Notice = Welcome | Done | Refused | Ended | Said


def _plain(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(type(value).__name__)


def _path(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise NotImplementedError(kind.__name__)


_encoder = msgspec.json.Encoder(enc_hook=_plain)
joins: msgspec.json.Decoder[Join] = msgspec.json.Decoder(Join)
requests: msgspec.json.Decoder[Words] = msgspec.json.Decoder(Words, dec_hook=_path)
notices: msgspec.json.Decoder[Notice] = msgspec.json.Decoder(Notice)


class Line(Generic[M]):
    """One end of the connection.

    Args:
        decoder: of what the other side says.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        decoder: msgspec.json.Decoder[M],
    ) -> None:
        self.reader = reader
        self.writer = writer
        self._decoder = decoder

    async def receive(self) -> M | None:
        """Return what the other side says next; None when it is gone.

        Raises:
            msgspec.DecodeError: it says something that this version does not know.
        """
        try:
            line = await self.reader.readuntil()
        except (OSError, asyncio.IncompleteReadError):
            return None
        except asyncio.LimitOverrunError as error:
            raise msgspec.DecodeError(f"longer than {LINE_LIMIT} bytes") from error
        return self._decoder.decode(line)

    def put(self, message: Join | Words | Notice) -> None:
        """Say something, unless the other side has not read a lot of what was said before."""
        if self.writer.transport.get_write_buffer_size() < LINE_LIMIT:
            self.writer.write(_encoder.encode(message) + b"\n")

    async def send(self, message: Join | Words | Notice) -> None:
        """Say something; a peer that is gone is seen by `receive`."""
        self.writer.write(_encoder.encode(message) + b"\n")
        with contextlib.suppress(OSError):
            await self.writer.drain()

    async def close(self) -> None:
        """Hang up."""
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()
