"""What clients do with the instances of a simulation, and how often."""

from collections import Counter
from typing import Any

import grpc
import msgspec

from daprflow.protocol import workflow_messages as wf
from daprflow.transports.grpc import AioRpcError
from tests.simulation.code import WORKFLOW
from tests.simulation.grammar import OWN, Order, Scenario, Start
from tests.simulation.model import NANOS, Wrong
from tests.simulation.wire import UnaryCall
from tests.simulation.world import START, World

OUTPUT = '"ended"'
FULL = "disk is full"
_AGAIN = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.FAILED_PRECONDITION,
}


class Clients:
    """Start what a scenario has, and do with it what it says; each call is made until it is taken.

    Attributes:
        busy: how much is not done yet.
        sent: how often each event was sent, taken or not.
        taken: events that the sidecar said it has, and whether the instance was over then.
        left: events that were never read, before their instances were forgotten.
    """

    def __init__(self, world: World, scenario: Scenario) -> None:
        self.busy = 0
        self.sent: Counter[str] = Counter()
        self.taken: dict[str, bool] = {}
        self.left: frozenset[str] = frozenset()
        self._world = world
        self._scenario = scenario
        for instance in scenario.roots:
            self._go(self._root(instance))

    def order(self, order: Order) -> None:
        """Do something more."""
        self._go(self._do(order))

    def purge(self, instance: str) -> None:
        """Have an instance forgotten, with its child workflows."""
        self._go(self._purge(instance))

    def _go(self, work: Any) -> None:
        self.busy += 1

        async def whole() -> None:
            await work
            self.busy -= 1

        _ = self._world.go(whole())

    async def _root(self, instance: str) -> None:
        start = Start(self._scenario.roots[instance])
        request = wf.CreateInstanceRequest(instanceId=instance, name=WORKFLOW)
        request.input.value = msgspec.json.encode(start).decode()
        if (delay := self._scenario.delays.get(instance)) is not None:
            request.scheduledStartTimestamp.FromNanoseconds(int(START + delay) * NANOS)
        await self._world.when(f"start {instance}")
        try:
            await self._call("StartInstance", request, wf.CreateInstanceResponse)
        except AioRpcError as error:
            if error.code() is not grpc.StatusCode.ALREADY_EXISTS:
                raise
        for order in self._scenario.orders:
            if order.instance == instance:
                self.order(order)

    async def _has_begun(self, instance: str) -> bool:
        request = wf.GetInstanceRequest(instanceId=instance)
        found: Any = await self._call("GetInstance", request, wf.GetInstanceResponse)
        return bool(found.exists)

    async def _do(self, order: Order) -> None:
        instance = order.instance
        await self._world.when(f"{order.kind} {instance}")
        match order.kind:
            case "raise":
                await self._raise(order)
            case "pause":
                suspend = wf.SuspendRequest(instanceId=instance)
                await self._call("SuspendInstance", suspend, wf.SuspendResponse)
                await self._world.when(f"resume {instance}")
                resume = wf.ResumeRequest(instanceId=instance)
                await self._call("ResumeInstance", resume, wf.ResumeResponse)
            case _:
                end = wf.TerminateRequest(instanceId=instance, recursive=order.recursive)
                end.output.value = OUTPUT
                await self._call("TerminateInstance", end, wf.TerminateResponse)

    async def _raise(self, order: Order) -> None:
        request = wf.RaiseEventRequest(instanceId=order.instance, name=order.event)
        request.input.value = msgspec.json.encode(order.payload).decode()
        await self._call("RaiseEvent", request, wf.RaiseEventResponse, order.payload)
        living = any(each.instance == order.instance for each in self._world.ledger.living)
        self.taken[order.payload] = not living

    async def _purge(self, instance: str) -> None:
        request = wf.PurgeInstancesRequest(instanceId=instance, recursive=True)
        try:
            await self._call("PurgeInstances", request, wf.PurgeInstancesResponse)
        except AioRpcError as error:
            if "no such instance" not in (error.details() or ""):
                raise Wrong(f"'{instance}' cannot be purged: {error.details()}") from None

    async def _call(self, method: str, request: Any, answer: Any, event: str = "") -> Any:
        while True:
            if event:
                self.sent[event] += 2  # it may come twice by itself
            call = UnaryCall(answer.FromString)
            self._world.ask(OWN, method, request.SerializeToString(), call)
            try:
                return await call.future
            except AioRpcError as error:
                if error.code() not in _AGAIN and FULL not in (error.details() or ""):
                    raise
            if method == "StartInstance" and await self._has_begun(request.instanceId):
                return None  # asked for once more, it would begin once more when it is over
