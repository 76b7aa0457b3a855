"""What stands around each handler: its app's, its routers' and its own interceptors and the rest.

The app's are outermost, then those of its router, of a router inside that one, and of the handler.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from daprflow.addresses import type_name
from daprflow.handlers.handler import Interceptor
from daprflow.handlers.registration import Own, Registration, Source, name_of, source_of
from daprflow.handlers.signature import interceptor_problem, middleware_problem

if TYPE_CHECKING:
    from starlette.middleware import Middleware

    from daprflow.handlers.error_decorators import ErrorRegistration


@dataclass(frozen=True, slots=True)
class Placed:
    """An interceptor, and the place that is told where it has none of its own."""

    call: Interceptor
    source: Source

    @property
    def title(self) -> str:
        """How messages call it."""
        return f"interceptor '{name_of(self.call)}' ({source_of(self.call, self.source)})"


@dataclass(frozen=True, slots=True)
class Level:
    """What an app, or a router, was given for all of its handlers.

    Attributes:
        errors: its error handlers, in order.
        owner: how messages call it; empty for the app, whose middleware Starlette has.
    """

    source: Source
    own: Own
    errors: "Sequence[ErrorRegistration]" = ()
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Around:
    """What stands around one handler, the outermost first; of error handlers the nearest first."""

    interceptors: tuple[Placed, ...] = ()
    middleware: "tuple[Middleware, ...]" = ()
    errors: "tuple[Sequence[ErrorRegistration], ...]" = ()


NOTHING = Around()


class Surroundings:
    """Finds what stands around each registration of an app."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self._around: dict[int, Around] = {}
        self._checked: set[int] = set()

    def of(self, registration: Registration) -> Around:
        """Return what stands around a handler."""
        return self._around.get(id(registration), NOTHING)

    def add(self, levels: Sequence[Level], registrations: Sequence[Registration]) -> None:
        """Put ``levels``, the app's first, around the handlers of the last of them."""
        for level in levels:
            if id(level) not in self._checked:
                self._checked.add(id(level))
                self._check(level.own, level.source, f" of {level.owner}" if level.owner else "")
        interceptors, middleware = list[Placed](), list[Any]()
        for level in levels:
            interceptors += _placed(level.own, level.source)
            # That of the app is around everything it answers, in Starlette.
            middleware += _listed(level.own.middleware) if level.owner else ()
        errors = tuple(level.errors for level in reversed(levels) if level.errors)
        shared = Around(tuple(interceptors), tuple(middleware), errors)
        for each in registrations:
            own = each.own
            if own.interceptors or own.middleware:
                self._check(own, each.source, f" of {each.title}")
                self._around[id(each)] = Around(
                    (*shared.interceptors, *_placed(own, each.source)),
                    (*shared.middleware, *_listed(own.middleware)),
                    errors,
                )
            else:
                self._around[id(each)] = shared

    def _check(self, own: Own, source: Source, where: str) -> None:
        """Report what cannot be called, or made."""
        for name, given in (("interceptors", own.interceptors), ("middleware", own.middleware)):
            if not _is_list(given):
                self.problems.append(
                    f"'{name}'{where or f' of the app ({source})'} is of type "
                    f"'{type_name(type(given))}'; give it a list"
                )
        self.problems += [
            f"{each.title}{where} {problem}"
            for each in _placed(own, source)
            if (problem := interceptor_problem(each.call))
        ]
        self.problems += [
            f"middleware {_name(each)}{where or f' ({source})'} {problem}"
            for each in _listed(own.middleware)
            if (problem := middleware_problem(each))
        ]


def _placed(own: Own, source: Source) -> list[Placed]:
    return [Placed(each, source) for each in _listed(own.interceptors)]


def _is_list(given: object) -> bool:
    return isinstance(given, Sequence) and not isinstance(given, str | bytes | Mapping)


def _listed(given: Any) -> Sequence[Any]:
    """Return what was given; nothing where it is no list, which is reported."""
    return given if _is_list(given) else ()


def _name(middleware: Any) -> str:
    made = getattr(middleware, "cls", middleware)
    return f"'{name_of(made)}'"
