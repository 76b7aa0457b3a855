"""What an app's process tells its supervisor, one JSON line each."""

import os
from collections.abc import Mapping

import msgspec

from daprflow.components.declarations import NOTHING, Declarations


class HandlerRow(msgspec.Struct, frozen=True):
    """One line of the table of handlers; see `daprflow.handlers.table.RouteInfo`."""

    kind: str
    name: str
    path: str
    handler: str
    source: str
    payload: str = ""
    method: str = "POST"
    options: Mapping[str, str] = {}


class Cron(msgspec.Struct, frozen=True):
    """A schedule the app asks its sidecar to run: a ``bindings.cron`` component."""

    name: str
    schedule: str


class AppFrozen(msgspec.Struct, frozen=True, tag="frozen"):
    """The app was imported and holds together.

    Attributes:
        folder: where the app's file lies; resources are looked for beside it.
        features: those of the runtime that the app needs switched on.
        declared: the resources in its code, for the environment it runs in.
        files: what was imported for it from below the folder that a reload watches.
    """

    app_id: str
    folder: str
    handlers: tuple[HandlerRow, ...] = ()
    crons: tuple[Cron, ...] = ()
    features: tuple[str, ...] = ()
    declared: Declarations = NOTHING
    files: tuple[str, ...] = ()


class AppServing(msgspec.Struct, frozen=True, tag="serving"):
    """The app's lifespan has begun and its port answers."""


class AppFailed(msgspec.Struct, frozen=True, tag="failed"):
    """The app cannot start; the process ends after this."""

    problem: str


Report = AppFrozen | AppServing | AppFailed

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Report] = msgspec.json.Decoder(Report)


def decode(line: bytes) -> Report:
    """Decode one line."""
    return _decoder.decode(line)


class Reporter:
    """The app's end of the pipe.

    Args:
        descriptor: where to write; None drops everything.
    """

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    def send(self, report: Report) -> None:
        """Write one line; a supervisor that is gone is no reason to fail."""
        if self._descriptor is None:
            return
        try:
            os.write(self._descriptor, _encoder.encode(report) + b"\n")
        except BrokenPipeError:
            self._descriptor = None
