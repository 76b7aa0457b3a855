"""What an actor's class says: its methods, its state and the parts of it; read once per class."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import FunctionType
from typing import Any

import msgspec

from daprflow.actors.actor import NAME, Actor, ActorInterface
from daprflow.actors.part import Part, made
from daprflow.addresses import type_name
from daprflow.handlers.actor_arguments import Arguments
from daprflow.handlers.codecs import NO_CODECS
from daprflow.handlers.registration import Source
from daprflow.handlers.signature import (
    MISSING,
    Argument,
    Calling,
    Injected,
    MethodSignature,
    SignatureError,
    calling_of,
    read_method,
    type_argument,
)

STATE = "state"
METHOD_FIELD = "daprflow.method"
"""Where the data of a reminder says its method, when the name is another."""
_SHAPE = "_daprflow_shape"
_BASES = (Actor, ActorInterface, object)
_HOOKS = ("on_activate", "on_deactivate")
_TAKEN = ("id", "state", "remind", "unremind", "set_timer", "unset_timer")


class NamedTick(msgspec.Struct, frozen=True, omit_defaults=True):
    """The data of a reminder whose name is not its method's."""

    method: str = msgspec.field(name=METHOD_FIELD)
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


@dataclass(frozen=True)
class MethodShape:
    """One method that can be called.

    Attributes:
        attribute: its name in the class.
        name: what it is called by.
    """

    attribute: str
    name: str
    function: FunctionType
    signature: MethodSignature

    @property
    def arguments(self) -> tuple[Argument, ...]:
        """What is sent with a call."""
        return self.signature.arguments

    @property
    def injected(self) -> tuple[Injected, ...]:
        """What the host gives it."""
        return self.signature.injected

    @cached_property
    def _arguments(self) -> Arguments:
        return Arguments(self.arguments, NO_CODECS)

    def document(self, data: tuple[Any, ...]) -> msgspec.Raw | msgspec.UnsetType:
        """Return what a tick brings.

        Raises:
            TypeError: the method is not called with this.
        """
        try:
            values = self._arguments.bound(data, {})
        except TypeError as error:
            raise TypeError(f"method '{self.attribute}' is not called so: {error}") from None
        document = self._arguments.document(values)
        return msgspec.Raw(document) if document else msgspec.UNSET

    def tick(self, data: tuple[Any, ...], name: str | None) -> msgspec.Raw | msgspec.UnsetType:
        """Return what a reminder brings, which says its method where the name does not.

        Raises:
            TypeError: the method is not called with this.
        """
        document = self.document(data)
        if name is None or name == self.name:
            return document
        return msgspec.Raw(msgspec.json.encode(NamedTick(self.name, document)))


@dataclass(frozen=True, slots=True)
class ActorShape:
    """One class.

    Attributes:
        kind: the actor type's name.
        methods: what can be called, by the name it is called by.
        by_attribute: the same by the name in the class.
        parts: where state is kept; the whole first, if it has one.
        state: the type of the state; None where it has none.
    """

    kind: str
    methods: Mapping[str, MethodShape]
    by_attribute: Mapping[str, MethodShape]
    parts: tuple[Part[Any], ...]
    state: Any

    def empty(self) -> Any:
        """Return the state that a new actor begins with.

        Raises:
            TypeError: it cannot be made without arguments.
        """
        return made(self.state)


def shape_of(actor: type[ActorInterface], source: Source | None = None) -> ActorShape:
    """Return what a class says; read when it is first asked for.

    Raises:
        SignatureError: something in it cannot be used.
    """
    known: ActorShape | None = vars(actor).get(_SHAPE)
    if known is None:
        known = _read(actor, source or Source(actor.__module__, 0))
        setattr(actor, _SHAPE, known)
    return known


def _read(actor: type[ActorInterface], source: Source) -> ActorShape:
    if issubclass(actor, Actor):
        _check_base(actor)
    methods: dict[str, MethodShape] = {}
    parts: tuple[Part[Any], ...] = ()
    state, problems = None, list[str]()
    for attribute, function in _functions(actor):
        name = str(getattr(function, NAME, attribute))
        if name in methods:
            problems.append(f"has two methods that are called '{name}'; rename one")
        try:
            signature = read_method(function, source)
        except SignatureError as error:
            problems.append(f"has the method '{attribute}', which {error}")
            continue
        methods[name] = MethodShape(attribute, name, function, signature)
    try:
        state, parts = _state(actor)
    except SignatureError as error:
        problems.append(str(error))
    if problems:
        raise SignatureError("; and ".join(problems))
    by_attribute = {each.attribute: each for each in methods.values()}
    return ActorShape(actor.actor_type, methods, by_attribute, parts, state)


def _check_base(actor: type[Actor[Any]]) -> None:
    """Refuse what would break the base class.

    Raises:
        SignatureError: something of it is replaced by another thing.
    """
    for name in _TAKEN:
        if _defined(actor, name) is not vars(Actor)[name]:
            raise SignatureError(f"defines '{name}', which is every actor's own; rename it")
    for name in _HOOKS:
        if calling_of(getattr(actor, name)) is not Calling.ASYNC:
            raise SignatureError(
                f"defines '{name}' without 'async'; write 'async def {name}(self)'"
            )


def _state(actor: type[ActorInterface]) -> tuple[Any, tuple[Part[Any], ...]]:
    if not issubclass(actor, Actor):
        return None, ()
    state = type_argument(actor, Actor)
    if state is MISSING or isinstance(state, str) or hasattr(state, "__forward_arg__"):
        raise SignatureError(
            f"does not say the type of its state; write 'class {actor.__name__}(Actor[Cart])', or "
            "'Actor[None]' where it has none"
        )
    found: dict[str, Part[Any]] = {}
    if state is not None and state is not type(None):
        found[STATE] = Part(state, key=STATE)
    named = {name: value for base in reversed(actor.__mro__) for name, value in vars(base).items()}
    for value in named.values():
        if isinstance(value, Part) and found.setdefault(value.key, value) is not value:
            raise SignatureError(f"has two parts of its state under the key '{value.key}'")
    return state, tuple(found.values())


def _functions(actor: type[ActorInterface]) -> Iterator[tuple[str, FunctionType]]:
    """Yield the public async methods that the class or its bases define.

    Raises:
        SignatureError: one is a generator, or a private one has a name to be called by.
    """
    for attribute in dir(actor):
        if any(attribute in vars(base) for base in _BASES):
            continue
        function = getattr(actor, attribute)
        if not isinstance(function, FunctionType) or isinstance(
            _defined(actor, attribute), staticmethod
        ):
            continue
        calling = calling_of(function)
        if attribute.startswith("_"):
            if hasattr(function, NAME):
                raise SignatureError(
                    f"gives the private method '{attribute}' a name to be called by; make it public"
                )
            continue
        if calling is Calling.ASYNC:
            yield attribute, function
        elif calling is Calling.ASYNC_GENERATOR:
            raise SignatureError(
                f"has the method '{attribute}', which yields; return all of it, or make it private"
            )
        elif hasattr(function, NAME):
            raise SignatureError(
                f"has the method '{attribute}', which is no 'async def' and cannot be called"
            )


def _defined(actor: type, attribute: str) -> Any:
    return next(vars(base)[attribute] for base in actor.__mro__ if attribute in vars(base))


def described(shape: ActorShape) -> str:
    """Return the methods of an actor for a message."""
    return ", ".join(f"'{name}'" for name in shape.methods) or "none"


def signature_text(method: MethodShape) -> str:
    """Return the types of a method's arguments for people."""
    return ", ".join(type_name(each.type) for each in method.arguments)
