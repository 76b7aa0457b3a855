"""What a sidecar asks of the actors of one type, and what it is answered."""

import logging
from typing import TYPE_CHECKING, Any

import msgspec

from daprflow.actors.hosting import CallerLost, TypeHost
from daprflow.actors.plan import ActorCall, ActorPlan, HostedMethod
from daprflow.actors.saving import StateError
from daprflow.actors.turn import Turn
from daprflow.errors import ActorError, Retry, StopReminder
from daprflow.handlers.actor_shapes import METHOD_FIELD, NamedTick
from daprflow.handlers.codecs import Codecs
from daprflow.handlers.decoding import Undecodable
from daprflow.handlers.handler import Delivery, Outcome
from daprflow.handlers.verdicts import DONE, FAULTS, is_being_cancelled, refusal
from daprflow.protocol.actor_calls import ActorFailure
from daprflow.protocol.actors import CANCEL_HEADER, ERROR_HEADER, TimerTick
from daprflow.protocol.deliveries import Status
from daprflow.protocol.envelopes import OCTET_STREAM
from daprflow.protocol.http import JSON

if TYPE_CHECKING:
    from daprflow.actors.actor import Actor

logger = logging.getLogger(__name__)

REMIND, TIMER = "remind", "timer"
_MARKED = ((ERROR_HEADER, "true"),)
_LAST = Outcome(Status.SUCCESS, 200, DONE.body, headers=((CANCEL_HEADER, "true"),))
_FIELD = METHOD_FIELD.encode()
_TICK_FAILED = "the tick failed; the log of the app says why"
_ticks = msgspec.json.Decoder(TimerTick)
_named = msgspec.json.Decoder(NamedTick)


class ActorType:
    """One hosted type: decodes what is asked, has it done in a turn, and encodes the answer."""

    def __init__(self, plan: ActorPlan, codecs: Codecs) -> None:
        self.plan = plan
        self.host: TypeHost = TypeHost(plan)
        self._encode = codecs.encode

    async def answer(self, delivery: Delivery) -> Outcome:
        """Do what is asked: a method's call, or a tick.

        A method that raises is the caller's business: the answer is an error of the actor's own,
        which the runtime hands on and does not repeat. What hinders the turn itself is a 500, and
        so is a failed tick.
        """
        call = _actor_call(delivery)
        try:
            return await (self._tick(call) if call.tick else self._method(call))
        except (StateError, Retry, CallerLost) as error:
            logger.warning("%s gave up '%s': %s", self.plan.title, call.name, _said(error))
            return refusal(500, _said(error), error)
        except FAULTS as error:
            if is_being_cancelled():
                raise
            return self._failed(call, error)

    async def _method(self, call: ActorCall) -> Outcome:
        method = self.plan.methods.get(call.method)
        if method is None:
            known = ", ".join(f"'{name}'" for name in self.plan.methods) or "none"
            text = f"actor type '{self.plan.kind}' has no method '{call.method}'; it has {known}"
            return refusal(404, text)
        arguments = method.arguments.read_body(call.body)

        async def work(_: Turn, actor: "Actor[Any]") -> Outcome:
            result = await method.call(call, actor, *arguments)
            if method.answers_bytes and result is not None:
                return Outcome(Status.SUCCESS, 200, bytes(result), OCTET_STREAM)
            return Outcome(Status.SUCCESS, 200, self._encode(result), JSON)

        return await self.host.turn(call, work)

    async def _tick(self, call: ActorCall) -> Outcome:
        method, data = self._ticked(call)
        arguments = method.arguments.read_document(data)

        async def work(turn: Turn, actor: "Actor[Any]") -> Outcome:
            try:
                await method.call(call, actor, *arguments)
            except StopReminder:
                asked: dict[str, Any] = turn.reminders if call.tick == REMIND else turn.timers
                asked[call.method] = None
                return _LAST
            return DONE

        return await self.host.turn(call, work)

    def _ticked(self, call: ActorCall) -> tuple[HostedMethod, bytes]:
        """Return the method that a tick is for, and what it is called with.

        A timer says it, and so does the data of a reminder whose name is not its method's.

        Raises:
            Undecodable: it is for none that can be called.
        """
        try:
            tick = _ticks.decode(call.body or b"{}")
            data = b"" if tick.data is msgspec.UNSET else bytes(tick.data)
            name = tick.callback if call.tick == TIMER else call.method
            if call.tick == REMIND and _FIELD in data[: 2 * len(_FIELD)]:
                named = _named.decode(data)
                name = named.method
                data = b"" if named.data is msgspec.UNSET else bytes(named.data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise Undecodable("the tick is not one that a runtime sends") from None
        method = self.plan.methods.get(name)
        if method is None:
            known = ", ".join(f"'{each}'" for each in self.plan.methods) or "none"
            raise Undecodable(f"no method is called '{name}'; there is {known}")
        return method, data

    def _failed(self, call: ActorCall, error: BaseException) -> Outcome:
        if isinstance(error, Undecodable):
            logger.error("%s cannot take '%s': %s", self.plan.title, call.name, error)
        elif (
            isinstance(error, ActorError) and error.type
        ):  # told with all of it where it was raised
            logger.error("%s failed on '%s': %s", self.plan.title, call.name, error)
        else:
            logger.error("%s failed on '%s'", self.plan.title, call.name, exc_info=error)
        if call.tick:
            return refusal(500, _TICK_FAILED, error)
        kind = "InvalidArguments" if isinstance(error, Undecodable) else type(error).__name__
        body = msgspec.json.encode(ActorFailure(kind, _text(error)))
        return Outcome(Status.SUCCESS, 200, body, JSON, _MARKED, error)


def _actor_call(delivery: Delivery) -> ActorCall:
    """Return a delivery as it was made.

    Raises:
        TypeError: an interceptor put another one in its place.
    """
    if not isinstance(delivery, ActorCall):
        raise TypeError("an interceptor handed an actor's call on as something else")
    return delivery


def _said(error: BaseException) -> str:
    return "the method asked for this call again" if isinstance(error, Retry) else str(error)


def _text(error: BaseException) -> str:
    """Return what an exception was raised with as text, never the repr of something.

    One whose ``__str__`` fails itself says nothing.
    """
    arguments = error.args
    if len(arguments) == 1 and isinstance(arguments[0], str):
        return arguments[0]
    if type(error).__str__ not in (BaseException.__str__, KeyError.__str__):
        try:
            return str(error)
        except Exception:  # noqa: BLE001 - a user's class raises what it likes
            return ""
    return ", ".join(str(each) for each in arguments if isinstance(each, str | int | float))
