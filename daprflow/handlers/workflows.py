"""Freezing workflows and activities: from registrations to what the worker runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from daprflow.addresses import type_name
from daprflow.handlers.calling import Call, caller
from daprflow.handlers.codecs import Codecs
from daprflow.handlers.faults import plain
from daprflow.handlers.handler import Delivery, Next, Outcome
from daprflow.handlers.interception import intercepted
from daprflow.handlers.limits import Limit, limited
from daprflow.handlers.own_workflows import taken, workflow_options
from daprflow.handlers.pool import HandlerPool, PoolFull
from daprflow.handlers.providers import Container
from daprflow.handlers.registration import ActivityOptions, Kind, Registration
from daprflow.handlers.signature import (
    MISSING,
    Calling,
    Signature,
    SignatureError,
    answer_of,
    read_handler,
    read_workflow,
)
from daprflow.handlers.surroundings import Surroundings
from daprflow.workflows.plan import WorkflowPlan, Workflows, WorkflowVersions
from daprflow.workflows.values import Decode, Values


@dataclass(frozen=True, slots=True)
class ActivityPlan:
    """One compiled activity; ``call`` runs it through the interceptors."""

    registration: Registration
    name: str
    call: Next
    takes: Any


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """What a worker runs: every workflow and every activity of an app."""

    workflows: Workflows
    activities: dict[str, ActivityPlan]
    registrations: tuple[Registration, ...]


class WorkflowCompiler:
    """Compiles workflows and activities, and collects what is wrong with them."""

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
        self.limits: list[Limit] = []
        self._values = Values(codecs)

    def compile(self, registrations: Sequence[Registration]) -> WorkerPlan:
        """Compile every one of them."""
        own = {id(each) for each in registrations}
        self._values.is_own = lambda handle: id(getattr(handle, "registration", None)) in own
        activities: dict[str, ActivityPlan] = {}
        versions: dict[str, list[tuple[Registration, WorkflowPlan]]] = {}
        for each in registrations:
            try:
                if each.kind is Kind.ACTIVITY:
                    activity = self._activity(each)
                    self._add_activity(activities, activity)
                else:
                    workflow = self._workflow(each)
                    versions.setdefault(workflow.name, []).append((each, workflow))
            except SignatureError as error:
                self.problems.append(f"{each.title} {error}")
        plans = {name: self._versions(found) for name, found in versions.items()}
        return WorkerPlan(Workflows(plans, self._values), activities, tuple(registrations))

    def _activity(self, registration: Registration) -> ActivityPlan:
        signature = read_handler(registration.function, registration.source)
        self._check_activity(registration, signature)
        plan = self._container.plan(signature.injected)
        call = caller(registration.function, signature.calling, plan, self._container, self._pool)
        call = limited(call, registration, self.limits)
        options = registration.options
        name = options.name if isinstance(options, ActivityOptions) else registration.name
        takes = taken(signature)
        decode = None
        if signature.payload is not None:
            decode = self._values.decoder(takes, f"the input of activity '{name}'")
        run = _activity(call, decode, self._values, f"the result of activity '{name}'")
        around = self._surroundings.of(registration).interceptors
        # A full pool is no failure: the worker asks again.
        run = intercepted(run, around, plain(registration.title, passes=PoolFull))
        return ActivityPlan(registration, name, run, takes)

    def _check_activity(self, registration: Registration, signature: Signature) -> None:
        payload = signature.payload
        if signature.calling in (Calling.ASYNC_GENERATOR, Calling.GENERATOR):
            raise SignatureError("yields; an activity returns its one result")
        if signature.parameters:
            names = ", ".join(f"'{each.name}'" for each in signature.parameters)
            raise SignatureError(f"takes {names} of a request; an activity has none")
        if payload is not None and payload.envelope is not None:
            raise SignatureError(
                f"takes '{payload.name}' as an envelope; an activity takes a value"
            )
        self._check_types(registration, signature, answer_of(signature))

    def _workflow(self, registration: Registration) -> WorkflowPlan:
        signature = read_workflow(registration.function, registration.source)
        self._check_types(registration, signature, signature.returns)
        options = workflow_options(registration)
        name = options.name
        decode = self._values.decoder(taken(signature), f"the input of workflow '{name}'")
        return WorkflowPlan(
            name,
            registration.title,
            registration.function,
            decode,
            signature.payload is not None,
            options.version,
        )

    def _check_types(self, registration: Registration, signature: Signature, returns: Any) -> None:
        payload = signature.payload
        if payload is not None and payload.type is MISSING:
            raise SignatureError(f"takes '{payload.name}' without a type; annotate it")
        if payload is not None and (reason := self._codecs.undecodable(payload.type)):
            raise SignatureError(
                f"takes '{payload.name}: {type_name(payload.type)}', which no JSON fits: {reason}"
            )
        if returns is not MISSING and (reason := self._codecs.undecodable(returns)):
            self.problems.append(
                f"{registration.title} returns '{type_name(returns)}', which cannot be read back: "
                f"{reason}"
            )

    def _add_activity(self, found: dict[str, ActivityPlan], activity: ActivityPlan) -> None:
        first = found.setdefault(activity.name, activity)
        if first is not activity:
            self.problems.append(
                f"{activity.registration.title} has the name '{activity.name}', and so has "
                f"{first.registration.title}; rename one of them"
            )

    def _versions(self, found: Sequence[tuple[Registration, WorkflowPlan]]) -> WorkflowVersions:
        named: dict[str, WorkflowPlan] = {}
        for registration, plan in found:
            first = named.setdefault(plan.version, plan)
            if first is not plan:
                which = f"version '{plan.version}'" if plan.version else "the name"
                self.problems.append(
                    f"{registration.title} has {which} of workflow '{plan.name}', and so has "
                    f"{first.title}; give one of them another 'version'"
                )
        defaults = [plan for each, plan in found if workflow_options(each).default]
        if len(defaults) > 1:
            self.problems.append(
                f"{defaults[1].title} is the default of workflow '{defaults[0].name}', and so is "
                f"{defaults[0].title}; one version is the default"
            )
        elif not defaults and len(named) > 1:
            self.problems.append(
                f"{found[0][1].title} has several versions and none says 'default=True'; say which "
                "one new instances run"
            )
        return WorkflowVersions(defaults[0] if defaults else found[0][1], named)


def _activity(call: Call, decode: Decode | None, values: Values, what: str) -> Next:
    """Return what runs an activity for a delivery whose body is its input."""

    async def handle(delivery: Delivery) -> Outcome:
        try:
            if decode is None:
                result = await call(delivery)
            else:
                result = await call(delivery, decode(delivery.body.decode() or None))
            text = values.encode(result, what)
        except PoolFull:
            raise
        except Exception as error:  # noqa: BLE001 - whatever an activity raises is its failure
            return Outcome(http_status=500, error=error)
        return Outcome(body=b"" if text is None else text.encode())

    return handle
