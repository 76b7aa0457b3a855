"""Logs what an app does: a line for each delivery, and all other lines with what it brought."""

import logging
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import Token
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from daprflow.handlers.handler import Delivery, Outcome
from daprflow.handlers.verdicts import SUCCESS
from daprflow.observability.learning import Learning
from daprflow.observability.logging_context import CURRENT, Bound, span_ids
from daprflow.observability.logging_lines import LEVELS, SCOPE, JsonLines, Line, Origin
from daprflow.observability.logging_options import LogFormat, Logs, level_number
from daprflow.observability.logging_pipeline import Event, Installed, Pipeline, PipelineHandler
from daprflow.observability.logging_sink import Sink
from daprflow.observability.redaction import Redaction
from daprflow.observability.verdict_names import CANCELLED, RETRY, verdict_of
from daprflow.observability.verdict_names import SUCCESS as GOOD
from daprflow.observability.watches import Watch
from daprflow.observability.watching import Handled, Watcher

if TYPE_CHECKING:
    from daprflow.client import Client
    from daprflow.client.interception import CallNext, ClientCall, ClientResponse
    from daprflow.observability.watching import Parts


class LogsWatcher(Watcher):
    """Logs, in the form that is asked for.

    Args:
        app_id: the app's.
        logs: how.
    """

    def __init__(self, app_id: str, logs: Logs) -> None:
        self._logs = logs
        self._sink = Sink(logs.stream)
        self._redaction = Redaction()
        self._origin = origin_of(app_id)
        self._pipeline = Pipeline(logs.format, self._origin, self._sink, self._redaction)
        self._client: Client | None = None
        self._learning = Learning(self._redaction)

    def watch(self, handled: Handled) -> Watch:
        """Write a line for each delivery to a handler, and bind it to all lines meanwhile."""
        lowest = self._level
        written = {verdict: level >= lowest for verdict, level in LEVELS.items()}
        written[GOOD] = written[GOOD] and self._logs.deliveries
        return _DeliveryLines(handled, self._putter(handled), written)

    def live(self) -> AbstractAsyncContextManager[Any]:
        """Have everything logged this way while the app runs."""
        return self._installed()

    def attach(self, parts: "Parts") -> None:
        """Learn the tokens, and secrets as they are read, so that no line has one."""
        self._redaction.add(*parts.settings.secrets)
        self._client = parts.client
        self._client.add_interceptors(self.learn)

    async def learn(self, call: "ClientCall", call_next: "CallNext") -> "ClientResponse":
        """Remember the values of secrets that the app reads; an interceptor of the client."""
        response = await call_next(call)
        if call.block == "secrets":
            self._learning.look(response.body)
        return response

    @property
    def _level(self) -> int:
        """The lowest level that is written; one that a command has set holds on."""
        if self._logs.level is not None:
            return level_number(self._logs.level)
        root = logging.getLogger()
        is_set = any(isinstance(each, PipelineHandler) for each in root.handlers)
        return root.level if is_set else logging.INFO

    @asynccontextmanager
    async def _installed(self) -> AsyncIterator[None]:
        self._pipeline.ids = span_ids()  # who makes spans has begun
        installed = Installed(self._pipeline, self._level)
        try:
            yield
        finally:
            installed.remove()
            if self._client is not None:
                self._client.remove_interceptors(self.learn)
                self._client = None

    def _putter(self, handled: Handled) -> "JsonLines | _ConsoleLines":
        if self._logs.format is LogFormat.JSON:
            return JsonLines(handled, self._origin, self._sink, self._redaction, self._pipeline.ids)
        return _ConsoleLines(handled, self._sink, self._pipeline)


class _DeliveryLines(Watch):
    """Binds the deliveries to one handler to lines, and has a line of each.

    Args:
        handled: the handler.
        put: writes the line.
        written: the verdicts that have one.
    """

    def __init__(
        self, handled: Handled, put: "JsonLines | _ConsoleLines", written: Mapping[str, bool]
    ) -> None:
        self._handled = handled
        self._put = put
        self._succeeded = put.succeeded if written[GOOD] else _nothing
        self._written = written

    def begin(self, delivery: Delivery) -> Token[Bound | None]:
        """Bind a delivery to the lines that are written meanwhile."""
        return CURRENT.set(Bound(self._handled, delivery))

    def end(
        self, held: Token[Bound | None], delivery: Delivery, outcome: Outcome, seconds: float
    ) -> None:
        """Write what became of a delivery."""
        CURRENT.reset(held)
        if outcome is SUCCESS:  # nearly always, so without a detour
            self._succeeded(delivery, seconds)
            return
        verdict = verdict_of(outcome)
        if self._written[verdict]:
            self._put.ended(delivery, Line(verdict, seconds, outcome, outcome.error))

    def failed(
        self, held: Token[Bound | None], delivery: Delivery, error: BaseException, seconds: float
    ) -> None:
        """Write that something was let through."""
        verdict = RETRY if isinstance(error, Exception) else CANCELLED
        if self._written[verdict]:
            self._put.ended(delivery, Line(verdict, seconds, None, error))
        CURRENT.reset(held)


class _ConsoleLines:
    """Writes the deliveries to one handler for people."""

    def __init__(self, handled: Handled, sink: Sink, pipeline: Pipeline) -> None:
        self._handled = handled
        self._sink = sink
        self._pipeline = pipeline

    def succeeded(self, delivery: Delivery, seconds: float) -> None:
        """Write the line of a delivery that ended well."""
        self.ended(delivery, Line(GOOD, seconds, SUCCESS))

    def ended(self, delivery: Delivery, line: Line) -> None:
        """Write the line of a delivery that has ended."""
        handled = self._handled
        fields = {**Bound(handled, delivery).fields, "verdict": line.verdict}
        if line.outcome is not None and line.outcome.error_id:
            fields["error_id"] = line.outcome.error_id
        fields["duration_ms"] = round(line.seconds * 1000, 3)
        for name in ("block", "name"):  # the message says them
            del fields[name]
        message = f"{handled.kind} {handled.name}: {line.verdict}"
        level = LEVELS[line.verdict]
        self._sink.soon(self._pipeline.line(Event(level, SCOPE, message, fields, line.error)))


def origin_of(app_id: str) -> Origin:
    """Return what lines of this process say of it."""
    return Origin(app_id, socket.gethostname(), version("daprflow"))


def _nothing(_: Delivery, __: float) -> None:
    """Write no line of a delivery that ended well."""
