"""One way for all log lines: structlog's, those of ``logging``, of uvicorn, and of deliveries."""

import logging
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from daprflow.errors import MissingExtra
from daprflow.observability.correlation import CORRELATION_ID
from daprflow.observability.logging_context import CURRENT, Ids, shown
from daprflow.observability.logging_errors import fields_of, text_of
from daprflow.observability.logging_lines import LEVEL_NAMES, Origin
from daprflow.observability.logging_options import LogFormat
from daprflow.observability.logging_sink import Sink, Stamp
from daprflow.observability.redaction import Redaction, one_line

try:
    import structlog
except ImportError as error:
    raise MissingExtra("logs as JSON or for the console", "logs") from error

Fields = dict[str, Any]
_UVICORN: Final = ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi")
_RESERVED: Final = ("app_id", "instance", "level", "msg", "scope", "time", "type", "ver", "error")
_ACTIVITIES: Final = "daprflow.workflows.activities"
_TELL_FAILURES: Final = frozenset(
    {_ACTIVITIES, "daprflow.handlers.verdicts", "daprflow.actors.answering"}
)
"""Who tells what a handler raised; the line of its delivery has it, with the stack."""
_SAID: Final = frozenset(
    {
        "%s dropped event %s",
        "%s cannot decode event %s of '%s' (%d bytes): %s; %s",
        "%s cannot decode a body of %d bytes: %s; answered %d",
        "%s was called with a bad parameter: %s; answered 400",
    }
)
"""What handlers say of a delivery whose own line says the same; entries of a batch have none."""
_OURS: Final = ("/dapr/", "/job/", "/configuration/", "/actors/", "/healthz", "/readyz")
_KNOWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {
    "message", "asctime", "color_message", "taskName",
}  # fmt: skip
_DIM, _RESET = "\x1b[2m", "\x1b[0m"
_COLOURS: Final[Mapping[str, str]] = {
    "debug": _DIM, "info": "\x1b[32m", "warning": "\x1b[33m", "error": "\x1b[31m",
    "fatal": "\x1b[1;31m",
}  # fmt: skip


class Event(msgspec.Struct):
    """What is logged, before it is a line.

    Attributes:
        fields: further ones, as they were given.
        error: what was raised; None where nothing was.
    """

    level: int
    scope: str
    message: str
    fields: Fields
    error: BaseException | None = None


class Pipeline:
    """Makes lines of events.

    Args:
        form: what lines look like.
        origin: of the process.
        sink: takes the lines.
        redaction: takes secrets out.

    Attributes:
        ids: of the span that is being made.
    """

    def __init__(self, form: LogFormat, origin: Origin, sink: Sink, redaction: Redaction) -> None:
        self.origin = origin
        self.sink = sink
        self.redaction = redaction
        self.ids: Ids = lambda: None
        self._now = Stamp().now
        self._render = self._json if form is LogFormat.JSON else self._console

    def put(self, event: Event) -> None:
        """Write an event."""
        self.sink.write(self.line(event))

    def line(self, event: Event) -> bytes:
        """Return the line of an event, with its end."""
        bound = CURRENT.get()
        fields: Fields = {} if bound is None else {**bound.fields}
        if bound is None and (correlation := CORRELATION_ID.get()):
            fields["correlation_id"] = shown(correlation)
        own = self.ids()
        if own is not None:
            fields["trace_id"], fields["span_id"] = own
        given = {**structlog.contextvars.get_contextvars(), **event.fields}
        for name, value in given.items():
            key = self.redaction.text(str(name))
            key = f"field_{key}" if key in _RESERVED else key
            fields[key] = self.redaction.value(str(name), value)
        return self._render(event, fields)

    def _json(self, event: Event, fields: Fields) -> bytes:
        if event.error is not None:
            fields["error"] = fields_of(event.error, self.redaction)
        line = {
            "app_id": self.origin.app_id,
            "instance": self.origin.instance,
            "level": level_name(event.level),
            "msg": self.redaction.text(event.message),
            "scope": self.redaction.text(event.scope),
            "time": self._now(),
            "type": "log",
            "ver": self.origin.ver,
            **fields,
        }
        return msgspec.json.encode(line) + b"\n"

    def _console(self, event: Event, fields: Fields) -> bytes:
        level = level_name(event.level)
        pairs = " ".join(f"{name}={_plain(value)}" for name, value in fields.items())
        message = one_line(self.redaction.text(event.message))
        scope = one_line(self.redaction.text(event.scope))
        head = f"{self._now()[11:23]} {level.upper():7} {scope}: {message}"
        if self.sink.is_terminal:
            colour = _COLOURS.get(level, "")
            head = head.replace(level.upper(), f"{colour}{level.upper()}{_RESET}", 1)
            pairs = f"{_DIM}{pairs}{_RESET}" if pairs else ""
        text = f"{head}  {pairs}" if pairs else head
        if event.error is not None:
            text = f"{text}\n{text_of(event.error, self.redaction)}"
        return f"{text}\n".encode(errors="backslashreplace")


class PipelineHandler(logging.Handler):
    """Hands what ``logging`` is given to a pipeline."""

    def __init__(self, pipeline: Pipeline) -> None:
        super().__init__()
        self.pipeline = pipeline

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, unless the line of its delivery says the same."""
        if _told_elsewhere(record):
            return
        try:
            extra = {k: v for k, v in vars(record).items() if k not in _KNOWN}
            error = record.exc_info[1] if record.exc_info else None
            message = record.getMessage()
            self.pipeline.put(Event(record.levelno, record.name, message, extra, error))
        except Exception:  # noqa: BLE001 - a log line never fails the app; logging says how
            self.handleError(record)


class _Writer:
    """What structlog's loggers end in."""

    def __init__(self, sink: Sink, name: str) -> None:
        self._sink = sink
        self.name = name

    def msg(self, line: bytes) -> None:
        """Write a line."""
        self._sink.write(line)

    debug = info = warning = warn = error = err = critical = fatal = exception = failure = log = msg


class Installed:
    """A pipeline that everything goes through, until it is taken back."""

    def __init__(self, pipeline: Pipeline, level: int) -> None:
        self.pipeline = pipeline
        self._handler = PipelineHandler(pipeline)
        root = logging.getLogger()
        self._undo: list[Callable[[], None]] = []
        self._replace(root, [self._handler])
        before = root.level
        root.setLevel(level)
        self._undo.append(lambda: root.setLevel(before))
        for name in _UVICORN:
            self._take_over(logging.getLogger(name))
        self._configure(level)

    def remove(self) -> None:
        """Leave logging as it was before."""
        self.pipeline.sink.flush()
        for undo in reversed(self._undo):
            undo()
        self._undo.clear()

    def _replace(self, logger: logging.Logger, handlers: list[logging.Handler]) -> None:
        """Have a logger write to these handlers; what captures lines for a test goes on."""
        before = logger.handlers[:]
        kept = [each for each in before if not isinstance(each, _WRITING) or _captures(each)]
        logger.handlers[:] = [*kept, *handlers]

        def undo() -> None:
            logger.handlers[:] = before

        self._undo.append(undo)

    def _take_over(self, logger: logging.Logger) -> None:
        """Have a logger write by the root alone."""
        self._replace(logger, [])
        before = logger.propagate
        logger.propagate = True
        self._undo.append(lambda: setattr(logger, "propagate", before))

    def _configure(self, level: int) -> None:
        """Have structlog's loggers write by the pipeline, unless the author has set it up."""
        before = structlog.get_config()
        ours = any(isinstance(each, _Finish) for each in before["processors"])
        if structlog.is_configured() and not ours:
            return
        sink = self.pipeline.sink
        structlog.configure(
            processors=[_Finish(self.pipeline)],
            wrapper_class=structlog.make_filtering_bound_logger(level),
            logger_factory=lambda *names: _Writer(sink, str(names[0]) if names else "app"),
            cache_logger_on_first_use=False,
        )
        undo = (lambda: structlog.configure(**before)) if ours else structlog.reset_defaults
        self._undo.append(undo)


class _Finish:
    """structlog's last and only processor: an event becomes a line."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    def __call__(self, writer: Any, method: str, given: Any) -> bytes:
        fields = dict(given)
        message = str(fields.pop("event", ""))
        arguments = fields.pop("positional_args", ())
        if arguments:
            message = message % arguments
        error = _error_of(fields.pop("exc_info", None))
        fields.pop("stack_info", None)
        level = {"warn": logging.WARNING, "exception": logging.ERROR}.get(method)
        level = level or logging.getLevelNamesMapping().get(method.upper(), logging.INFO)
        scope = str(fields.pop("logger", writer.name))
        return self._pipeline.line(Event(level, scope, message, fields, error))


_WRITING: Final = (logging.StreamHandler, PipelineHandler)


def level_name(level: int) -> str:
    """Return Dapr's name of a level, that of the next lower one where it has none."""
    return LEVEL_NAMES[max((each for each in LEVEL_NAMES if each <= level), default=logging.DEBUG)]


def _captures(handler: logging.Handler) -> bool:
    """Whether a handler keeps records for somebody, as those of pytest do."""
    return type(handler).__module__.startswith("_pytest")


def _told_elsewhere(record: logging.LogRecord) -> bool:
    """Whether a delivery's own line says what a record says."""
    if record.name == "uvicorn.access" and isinstance(record.args, tuple):
        path = str(record.args[2]) if len(record.args) > 2 else ""  # noqa: PLR2004 - client, verb, path
        return path.startswith(_OURS)
    if record.msg in _SAID:
        return CURRENT.get() is not None
    if record.exc_info is None or record.name not in _TELL_FAILURES:
        return False
    return CURRENT.get() is not None or record.name == _ACTIVITIES


def _error_of(given: object) -> BaseException | None:
    if isinstance(given, BaseException):
        return given
    if isinstance(given, tuple):
        found = given[1]
        return found if isinstance(found, BaseException) else None
    return sys.exception() if given else None


def _plain(value: Any) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    text = one_line(text)
    return f'"{text}"' if " " in text else text
