"""Error handlers: from ``@app.on_error(ValueError)`` to what is called when one is raised."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Any, Union, get_args, get_origin

from daprflow.addresses import type_name
from daprflow.handlers.calling import Call, caller
from daprflow.handlers.error_decorators import ErrorRegistration
from daprflow.handlers.pool import HandlerPool
from daprflow.handlers.providers import Container
from daprflow.handlers.signature import MISSING, Calling, Payload, SignatureError, read_handler

_LOWEST, _HIGHEST = 400, 599


@dataclass(frozen=True, slots=True)
class ErrorHandler:
    """A compiled error handler: ``call`` takes a delivery and the error."""

    title: str
    call: Call
    status: int


class ErrorCompiler:
    """Compiles error handlers, each once, and collects what is wrong with them."""

    def __init__(self, container: Container, pool: HandlerPool) -> None:
        self.problems: list[str] = []
        self._container = container
        self._pool = pool
        self._made: dict[int, ErrorHandler] = {}
        self._found: dict[tuple[int, ...], Mapping[type[BaseException], ErrorHandler]] = {}

    def handlers(
        self, levels: Sequence[Sequence[ErrorRegistration]]
    ) -> Mapping[type[BaseException], ErrorHandler]:
        """Return the handler of each class; ``levels`` are those of its routers, nearest first."""
        key = tuple(id(level) for level in levels)
        known = self._found.get(key)
        if known is not None:
            return known
        found: dict[type[BaseException], ErrorHandler] = {}
        for level in levels:
            here: dict[Any, ErrorRegistration] = {}
            for each in level:
                handler = self._handler(each)
                if handler is None:
                    continue
                if (first := here.setdefault(each.error, each)) is not each:
                    self._report(
                        f"{each.title} is for '{type_name(each.error)}', and so is {first.title}; "
                        "keep one of them"
                    )
                found.setdefault(each.error, handler)
        self._found[key] = found
        return found

    def _handler(self, registration: ErrorRegistration) -> ErrorHandler | None:
        if id(registration) not in self._made:
            try:
                self._made[id(registration)] = self._compiled(registration)
            except SignatureError as error:
                self._report(f"{registration.title} {error}")
        return self._made.get(id(registration))

    def _report(self, problem: str) -> None:
        if problem not in self.problems:  # one router may be looked at for each of its handlers
            self.problems.append(problem)

    def _compiled(self, registration: ErrorRegistration) -> ErrorHandler:
        error, status = registration.error, registration.status
        if not (isinstance(error, type) and issubclass(error, Exception)):
            shown = type_name(error) if isinstance(error, type) else repr(error)
            raise SignatureError(f"is for {shown}; it must be a class of exceptions")
        if not (isinstance(status, int) and _LOWEST <= status <= _HIGHEST):
            raise SignatureError(f"sets status={status!r}; that of an error is from 400 to 599")
        signature = read_handler(registration.function, registration.source)
        name = error.__name__
        if signature.payload is None:
            raise SignatureError(f"takes no error; write 'async def name(error: {name})'")
        if signature.parameters:
            names = ", ".join(f"'{each.name}'" for each in signature.parameters)
            raise SignatureError(f"takes {names} of a request; ask for the Delivery instead")
        if not _takes(signature.payload, error):
            raise SignatureError(
                f"takes '{signature.payload.name}: {type_name(signature.payload.type)}', which is "
                f"no '{name}'; write '{signature.payload.name}: {name}'"
            )
        if signature.calling in (Calling.GENERATOR, Calling.ASYNC_GENERATOR):
            raise SignatureError("is a generator; return a value instead of yielding")
        plan = self._container.plan(signature.injected)
        call = caller(registration.function, signature.calling, plan, self._container, self._pool)
        return ErrorHandler(registration.title, call, status)


def _takes(payload: Payload, error: type[Exception]) -> bool:
    """Whether a parameter may be given such an error, as far as its annotation tells."""
    if payload.envelope is not None:
        return False
    wanted = payload.type
    members = get_args(wanted) if get_origin(wanted) in (Union, UnionType) else (wanted,)
    return any(
        each in (Any, MISSING) or not isinstance(each, type) or issubclass(error, each)
        for each in members
    )
