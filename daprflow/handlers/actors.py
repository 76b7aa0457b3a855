"""Freezing actor classes: from registrations to hosted types, and what the runtime is told."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import msgspec

from daprflow.actors.actor import Actor
from daprflow.actors.answering import ActorType
from daprflow.actors.defaults import ActorDefaults
from daprflow.actors.part import Part
from daprflow.actors.plan import ActorPlan, HostedMethod
from daprflow.addresses import type_name
from daprflow.client import state_values
from daprflow.handlers.actor_arguments import Arguments
from daprflow.handlers.actor_shapes import STATE, ActorShape, MethodShape, shape_of
from daprflow.handlers.calling import caller
from daprflow.handlers.codecs import Codecs
from daprflow.handlers.faults import plain
from daprflow.handlers.handler import Next
from daprflow.handlers.interception import intercepted
from daprflow.handlers.pool import HandlerPool
from daprflow.handlers.providers import Container, Plan
from daprflow.handlers.registration import ActorOptions, Registration
from daprflow.handlers.signature import Calling, SignatureError, read_constructor
from daprflow.handlers.surroundings import Surroundings
from daprflow.protocol.actor_names import name_problem
from daprflow.protocol.actors import RESERVED
from daprflow.protocol.documents import AppConfig, EntityConfig, Reentrancy
from daprflow.protocol.moments import duration_text


@dataclass(frozen=True, slots=True)
class HostedActor:
    """One registered class, compiled.

    Attributes:
        call: answers what a sidecar asks of it, through the interceptors.
    """

    registration: Registration
    shape: ActorShape
    type: ActorType
    call: Next


class StateFormat:
    """How the parts of one type's state become JSON and back."""

    __slots__ = ("_codecs", "_decoders", "_title")

    def __init__(self, kind: str, parts: Sequence[Part[Any]], codecs: Codecs) -> None:
        self._title = f"the state of an actor of type '{kind}'"
        self._codecs = codecs
        self._decoders = {part.key: _reader(part, codecs) for part in parts}

    def encode(self, value: Any, /) -> bytes:
        """Return a value's JSON.

        Raises:
            ValueError: an integer in it would come back as another one.
            TypeError: it has no JSON form.
        """
        return state_values.encode(value, self._title, self._codecs)

    def decode(self, key: str, document: bytes, /) -> Any:
        """Return the value of a key.

        Raises:
            msgspec.ValidationError: what is stored does not fit; the text holds no part of it.
        """
        try:
            return self._decoders[key](document)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            reason = error.reason if isinstance(error, UnicodeDecodeError) else error
            text = f"{self._title} under the key '{key}' does not fit its type: {reason}"
            raise msgspec.ValidationError(text) from None


class ActorCompiler:
    """Compiles actor classes and collects what is wrong with them."""

    def __init__(
        self,
        container: Container,
        pool: HandlerPool,
        codecs: Codecs,
        surroundings: Surroundings,
    ) -> None:
        self.problems: list[str] = []
        self._container = container
        self._pool = pool
        self._codecs = codecs
        self._surroundings = surroundings

    def compile(self, registrations: Sequence[Registration]) -> tuple[HostedActor, ...]:
        """Compile every class."""
        found: dict[str, HostedActor] = {}
        for registration in registrations:
            try:
                hosted = self._hosted(registration)
            except SignatureError as error:
                self.problems.append(f"{registration.title} {error}")
                continue
            first = found.setdefault(hosted.shape.kind, hosted)
            if first is not hosted:
                self.problems.append(
                    f"{registration.title} has the type '{hosted.shape.kind}', and so has "
                    f"{first.registration.title}; give one of them another 'actor_type'"
                )
        return tuple(found.values())

    def _hosted(self, registration: Registration) -> HostedActor:
        actor: Any = registration.function
        if not (isinstance(actor, type) and issubclass(actor, Actor)):
            raise SignatureError("is no class of actors; write 'class CartActor(Actor[Cart])'")
        if abstract := getattr(actor, "__abstractmethods__", ()):
            names = ", ".join(f"'{name}'" for name in sorted(abstract))
            raise SignatureError(f"leaves {names} abstract, so none can be made; define it")
        shape = shape_of(actor, registration.source)
        problems = [*_name_problems(shape), *self._type_problems(actor, shape)]
        self.problems += [f"{registration.title} {problem}" for problem in problems]
        plan, methods = self._plans(actor, registration, shape)
        parts = shape.parts
        compiled = ActorPlan(
            kind=shape.kind,
            title=registration.title,
            make=_maker(actor, self._container.fixed(plan)),
            methods=methods,
            parts=parts,
            format=StateFormat(shape.kind, parts if not problems else (), self._codecs),
            activates=actor.on_activate is not Actor.on_activate,
            deactivates=actor.on_deactivate is not Actor.on_deactivate,
        )
        hosted = ActorType(compiled, self._codecs)
        around = self._surroundings.of(registration).interceptors
        call = intercepted(hosted.answer, around, plain(registration.title))
        return HostedActor(registration, shape, hosted, call)

    def _plans(
        self, actor: type[Actor[Any]], registration: Registration, shape: ActorShape
    ) -> tuple[Plan, dict[str, HostedMethod]]:
        """Return what the constructor is given, and the methods.

        Raises:
            SignatureError: something is asked for that nothing provides; all of that is told.
        """
        plan, methods, problems = Plan(), dict[str, HostedMethod](), list[str]()
        try:
            injected = read_constructor(actor, registration.source)
            plan = self._container.plan(injected, allow_call=False)
        except SignatureError as error:
            problems.append(str(error))
        for name, method in shape.methods.items():
            try:
                methods[name] = self._method(method)
            except SignatureError as error:
                problems.append(str(error))
        if problems:
            raise SignatureError("; and ".join(problems))
        return plan, methods

    def _method(self, method: MethodShape) -> HostedMethod:
        try:
            plan = self._container.plan(method.injected)
        except SignatureError as error:
            raise SignatureError(f"has the method '{method.attribute}', which {error}") from None
        call = caller(method.function, Calling.ASYNC, plan, self._container, self._pool)
        arguments = Arguments(method.arguments, self._codecs)
        return HostedMethod(arguments, call, method.signature.returns is bytes)

    def _type_problems(self, actor: type[Actor[Any]], shape: ActorShape) -> list[str]:
        """Return which types cannot travel or be kept."""
        problems = []
        for method in shape.methods.values():
            problems += [
                f"has the method '{method.attribute}', which takes '{each.name}: "
                f"{type_name(each.type)}', which no JSON fits: {reason}; what is injected comes "
                "into the constructor, or after '*'"
                for each in method.arguments
                if (reason := self._codecs.undecodable(each.type))
            ]
            if reason := self._codecs.unencodable(method.signature.returns):
                problems.append(
                    f"has the method '{method.attribute}', which returns "
                    f"{type_name(method.signature.returns)}, which cannot be sent: {reason}"
                )
        for part in shape.parts:
            if reason := self._codecs.undecodable(part.kind):
                problems.append(
                    f"keeps '{type_name(part.kind)}' under the key '{part.key}', which no JSON "
                    f"fits: {reason}"
                )
            elif problem := _emptiness(actor, part):
                problems.append(problem)
        return problems


def app_config(hosted: Sequence[HostedActor], defaults: ActorDefaults) -> AppConfig:
    """Return what the runtime is told of an app's actors.

    It takes idle timeout and reentrancy of a type that has an entry of its own from there alone, so
    the defaults are said there again.
    """
    entries = [
        _entity(each.shape.kind, options, defaults)
        for each in hosted
        if isinstance(options := each.registration.options, ActorOptions)
        and options != ActorOptions()
    ]
    return AppConfig(
        entities=tuple(each.shape.kind for each in hosted),
        actor_idle_timeout=_duration(defaults.idle),
        drain_ongoing_call_timeout=_duration(defaults.drain),
        drain_rebalanced_actors=defaults.drain_rebalanced,
        reentrancy=_reentrancy(defaults),
        reminders_storage_partitions=defaults.reminder_partitions,
        entities_config=tuple(entries),
    )


def is_reentrant(hosted: HostedActor, defaults: ActorDefaults) -> bool:
    """Tell whether a call may come back to an actor of a type in whose turn it began."""
    options = hosted.registration.options
    said = options.reentrant if isinstance(options, ActorOptions) else None
    return bool(defaults.reentrant if said is None else said)


def _entity(kind: str, options: ActorOptions, defaults: ActorDefaults) -> EntityConfig:
    said = ActorOptions(
        idle=options.idle or defaults.idle,
        drain=defaults.drain if options.drain is None else options.drain,
        reentrant=defaults.reentrant if options.reentrant is None else options.reentrant,
        max_depth=options.max_depth or defaults.max_depth,
    )
    return EntityConfig(
        entities=(kind,),
        actor_idle_timeout=_duration(said.idle),
        drain_ongoing_call_timeout=_duration(said.drain),
        drain_rebalanced_actors=defaults.drain_rebalanced,
        reentrancy=_reentrancy(said),
        reminders_storage_partitions=defaults.reminder_partitions,
    )


def _reentrancy(options: ActorOptions | ActorDefaults) -> Reentrancy | None:
    if options.reentrant is None:
        return None
    return Reentrancy(options.reentrant, options.max_depth if options.reentrant else None)


def _duration(value: timedelta | None) -> str:
    return "" if value is None else duration_text(value)


def _maker(actor: type[Actor[Any]], given: dict[str, Any]) -> Any:
    """Return what makes an actor; ``given`` is filled when the app opens."""
    return lambda: actor(**given)


def _reader(part: Part[Any], codecs: Codecs) -> Any:
    if part.kind in (bytes, str):
        return partial(_plain, part.kind)
    return codecs.decoder(part.kind).decode


def _plain(kind: Any, document: bytes) -> Any:
    return state_values.plain(document, kind, "it")


def _emptiness(actor: type[Actor[Any]], part: Part[Any]) -> str:
    """Return why nothing can stand where nothing is stored."""
    if part.key == STATE:
        if actor.initial_state is not Actor.initial_state:
            return ""
        advice = "define 'initial_state'"
    else:
        advice = "give the part a 'default'"
    try:
        Part.make(part, None)  # type: ignore[arg-type]  # a part makes its value without an actor
    except Exception as error:  # noqa: BLE001 - a user's class raises what it likes
        return (
            f"keeps '{type_name(part.kind)}' under the key '{part.key}', which cannot be made "
            f"without arguments ({type(error).__name__}); give its fields defaults, or {advice}"
        )
    return ""


def _name_problems(shape: ActorShape) -> list[str]:
    problems = []
    if reason := name_problem(shape.kind):
        problems.append(f"has a type that cannot be: {reason}")
    if shape.kind.startswith(RESERVED):
        problems.append(f"has the type '{shape.kind}'; those below '{RESERVED}' are the runtime's")
    return problems
