"""The actors building block: what one app asks of actors, and those that it hosts itself."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from daprflow.protocol import actor_faults as faults
from daprflow.protocol.actor_names import method_problem, name_problem
from daprflow.protocol.actors import RESERVED, ReminderDescription, ReminderRequest, TimerRequest
from daprflow.protocol.fault import Fault
from daprflow.sidecar.actors.host import (
    ActorAnswer,
    ActorCall,
    ActorRaised,
    HostFailed,
    MethodMissing,
    TimerDue,
)
from daprflow.sidecar.actors.hosting import Hostings
from daprflow.sidecar.actors.placement import NoHost
from daprflow.sidecar.actors.reminders import ActorReminder, ReminderExists, ReminderRefused
from daprflow.sidecar.actors.state import (
    ActorState,
    OperationRefused,
    StateChange,
    actor_state,
    actor_store,
)
from daprflow.sidecar.actors.timers import TimerRefused, Timers
from daprflow.sidecar.actors.turns import StackTooDeep, TurnCut
from daprflow.sidecar.components.base import ComponentError, StoredValue
from daprflow.sidecar.resiliency.breaker import Refused
from daprflow.sidecar.resiliency.deadline import TimedOut
from daprflow.sidecar.resiliency.policy import LastingFailure, StoppedRetrying

if TYPE_CHECKING:
    from daprflow.sidecar.runtime import Runtime

TTL_FEATURE = "ActorStateTTL"


class ActorsBlock:
    """Actors as one app sees them: it calls those of any app, and keeps state of its own.

    Attributes:
        hosting: the actors that it hosts itself.
        identity: the headers of a call that say who makes it.
    """

    def __init__(self, runtime: "Runtime") -> None:
        self._runtime = runtime
        engine = runtime.engine
        self._placement = engine.placement
        self._reminders = engine.reminders
        self._timers = Timers(engine.clock, engine.work, self._fire)
        if runtime.telemetry.meters is not None:
            self._timers.meter = runtime.telemetry.meters.actors.timers
        self._state: ActorState | None = None
        self._store = ""
        self._take_store()
        self.hosting = Hostings(runtime, suspended=self._state is None)
        self.identity = (
            ("dapr-api-call", "true"),
            ("dapr-caller-app-id", runtime.app_id),
            ("dapr-caller-namespace", runtime.options.namespace),
        )

    async def renew(self) -> None:
        """Go on with the actor state store of the moment; without one no type is hosted.

        Raises:
            ComponentError: two stores say that they are for actors.
        """
        before = self._store
        self._take_store()
        if before and before != self._store:
            await self.hosting.suspend()
        if self._state is not None:
            await self.hosting.resume()

    async def close(self) -> None:
        """Forget every timer, and have the actors leave that are still there."""
        await self._timers.close()
        await self.hosting.close()

    def _take_store(self) -> None:
        runtime = self._runtime
        loaded = actor_store(runtime.components)
        features = dict(runtime.resources.configuration.features)
        expiring = features.get(TTL_FEATURE, False)
        self._state = actor_state(runtime.components, runtime.app_id, expiring=expiring)
        self._store = "" if loaded is None else loaded.resource.name

    # ---- calls ----------------------------------------------------------------------------------

    async def invoke(self, kind: str, actor_id: str, call: ActorCall) -> ActorAnswer:
        """Call a method of an actor of any app; paths in the method are made plain.

        Raises:
            ActorRaised: the actor itself says that it failed.
            Fault: the call did not work.
        """
        for what, name in (("actorType", kind), ("actorId", actor_id)):
            if problem := name_problem(name):
                raise faults.bad_actor(what, problem)
        if problem := method_problem(call.method):
            raise faults.bad_method(problem)
        resiliency = self._runtime.resiliency
        policy = resiliency.actor(kind, actor_id)
        attempt = partial(self._attempt, kind, actor_id, call, self._patience(kind))
        try:
            if policy is None:
                return await attempt()
            return await policy.run(attempt)
        except LastingFailure as ended:
            raise _fault(ended.__cause__ or ended) from ended
        except StoppedRetrying as ended:
            cause = ended.__cause__ or ended
            if isinstance(cause, ActorRaised):
                raise cause from None
            raise _fault(cause) from ended
        except ActorRaised:
            raise
        except (HostFailed, NoHost, StackTooDeep, TurnCut, TimedOut, Refused) as error:
            raise _fault(error) from error

    async def _attempt(
        self, kind: str, actor_id: str, call: ActorCall, patience: float
    ) -> ActorAnswer:
        try:
            return await self._placement.call(
                kind, actor_id, lambda host: host.invoke(actor_id, call), patience
            )
        except MethodMissing as error:
            raise LastingFailure(str(error)) from error

    async def _fire(self, kind: str, actor_id: str, timer: TimerDue) -> None:
        await self._placement.call(
            kind, actor_id, lambda host: host.fire(actor_id, timer), self._patience(kind)
        )

    def _patience(self, kind: str) -> float:
        """Return how long to wait for a host; policies of the type say themselves what to do."""
        return 0.0 if self._runtime.resiliency.targets_actor(kind) else self._placement.patience

    # ---- state ----------------------------------------------------------------------------------

    async def get_state(self, kind: str, actor_id: str, key: str) -> StoredValue | None:
        """Return what an actor keeps under ``key``, active or not; None when there is nothing.

        Raises:
            Fault: there is no store for it, or it refused.
        """
        _check_type(kind)
        if self._state is None:
            raise faults.no_store()
        try:
            return await self._state.get(kind, actor_id, key)
        except ComponentError as error:
            raise faults.state_get(str(error)) from error

    async def transact(self, kind: str, actor_id: str, changes: Sequence[StateChange]) -> None:
        """Change the state of an actor that is active here: every step or none.

        Raises:
            Fault: the actor is not active here, or the transaction was refused.
        """
        _check_type(kind)
        if not self.hosting.is_active(kind, actor_id):
            raise faults.not_active()
        if self._state is None:
            raise faults.no_store()
        try:
            await self._state.transact(kind, actor_id, changes)
        except (ComponentError, OperationRefused) as error:
            raise faults.state_transaction(str(error)) from error

    # ---- timers and reminders -------------------------------------------------------------------

    def register_timer(self, kind: str, actor_id: str, name: str, request: TimerRequest) -> None:
        """Keep a timer; its actor need not be active.

        Raises:
            Fault: it cannot be.
        """
        _check_type(kind)
        _check_name(name)
        if not self.hosting.hosts(kind):
            text = f"can't create timer for actor {kind}||{actor_id}: actor type not registered"
            raise faults.timer_create(text)
        try:
            self._timers.register(kind, actor_id, name, request)
        except TimerRefused as error:
            raise faults.timer_create(str(error)) from error

    def unregister_timer(self, kind: str, actor_id: str, name: str) -> None:
        """Forget a timer; a missing one is no error.

        Raises:
            Fault: the type belongs to the runtime.
        """
        _check_type(kind)
        self._timers.remove(kind, actor_id, name)

    async def register_reminder(
        self, kind: str, actor_id: str, name: str, request: ReminderRequest
    ) -> None:
        """Keep a reminder; returns when it is safe.

        Raises:
            Fault: it cannot be, or is there already.
        """
        _check_type(kind)
        _check_name(name)
        self._check_hosted(kind)
        try:
            await self._reminders.register(kind, actor_id, name, request)
        except ReminderExists:
            raise faults.reminder_exists(name) from None
        except (ReminderRefused, ComponentError) as error:
            raise faults.reminder_create(str(error)) from error

    async def unregister_reminder(self, kind: str, actor_id: str, name: str) -> None:
        """Forget a reminder; a missing one is no error.

        Raises:
            Fault: the type is not hosted here, or the reminder could not be deleted.
        """
        _check_type(kind)
        self._check_hosted(kind)
        try:
            await self._reminders.remove(kind, actor_id, name)
        except ComponentError as error:
            raise faults.reminder_delete(str(error)) from error

    async def unregister_reminders(self, kind: str, actor_id: str | None = None) -> None:
        """Forget the reminders of an actor, or of all actors of a type.

        Raises:
            Fault: the type is not hosted here, or a reminder could not be deleted.
        """
        _check_type(kind)
        self._check_hosted(kind)
        try:
            await self._reminders.remove_all(kind, actor_id)
        except ComponentError as error:
            raise faults.reminder_delete(str(error)) from error

    def reminder(self, kind: str, actor_id: str, name: str) -> ReminderDescription:
        """Return a reminder as it was asked for.

        Raises:
            Fault: there is none of that name, or its type is not hosted here.
        """
        _check_type(kind)
        self._check_hosted(kind)
        found = self._reminders.find(kind, actor_id, name)
        if found is None:
            raise faults.reminder_not_found(name)
        return found

    def reminders(self, kind: str, actor_id: str | None = None) -> Sequence[ActorReminder]:
        """Return the reminders of an actor, or of all actors of a type.

        Raises:
            Fault: the type is not hosted here.
        """
        _check_type(kind)
        self._check_hosted(kind)
        return self._reminders.of(kind, actor_id)

    def _check_hosted(self, kind: str) -> None:
        if not self.hosting.hosts(kind):
            raise faults.not_hosted()


def _check_type(kind: str) -> None:
    if kind.startswith(RESERVED):
        raise faults.reserved(kind)


def _check_name(name: str) -> None:
    if problem := name_problem(name):
        raise faults.bad_request(problem)


def _fault(error: BaseException) -> Fault:
    if isinstance(error, NoHost):
        return faults.no_host(str(error))
    if isinstance(error, StackTooDeep):
        return faults.too_deep()
    return faults.invoke(str(error))
