"""The way to ``TaskHubSidecarService``: its methods are there at once, their code comes late."""

import asyncio
from collections.abc import Mapping
from importlib import import_module
from operator import methodcaller
from typing import TYPE_CHECKING, Any

import grpc

from daprflow.sidecar.grpc_api.serving import rpc_handler

if TYPE_CHECKING:
    from daprflow.sidecar.runtime import Runtime

SERVICE = "/TaskHubSidecarService/"
"""Where the service is; its name has no package."""
STREAM = "GetWorkItems"
NAMES = (
    "Hello",
    "StartInstance",
    "GetInstance",
    "WaitForInstanceStart",
    "WaitForInstanceCompletion",
    "RaiseEvent",
    "TerminateInstance",
    "SuspendInstance",
    "ResumeInstance",
    "PurgeInstances",
    STREAM,
    "CompleteActivityTask",
    "CompleteOrchestratorTask",
    "CompleteWorkflowTask",
    "RerunWorkflowFromEvent",
    "ListInstanceIDs",
    "GetInstanceHistory",
)
_serialize = methodcaller("SerializeToString")


class TaskHubDoor:
    """Loads the service when it is first called: that takes 0.2 s, which most runs never need.

    Args:
        runtime: the app's sidecar.
    """

    def __init__(self, runtime: "Runtime") -> None:
        self._runtime = runtime
        self._loading: asyncio.Task[Mapping[str, Any]] | None = None
        self._loaded: Mapping[str, Any] | None = None

    def handlers(self) -> Mapping[str, Any]:
        """Return what the library calls for each method, by its path."""
        return {SERVICE + name: self._handler(name) for name in NAMES}

    def _handler(self, name: str) -> Any:
        async def answer(raw: bytes, context: Any) -> Any:
            methods = self._loaded or await self._methods()
            return await methods[name].unary_unary(raw, context)

        async def stream(raw: bytes, context: Any) -> None:
            methods = self._loaded or await self._methods()
            await methods[name].unary_stream(raw, context)

        if name == STREAM:
            return grpc.unary_stream_rpc_method_handler(stream, None, _serialize)
        return grpc.unary_unary_rpc_method_handler(answer, None, _serialize)

    async def _methods(self) -> Mapping[str, Any]:
        if self._loading is None:
            self._loading = asyncio.get_running_loop().create_task(self._load())
        return await asyncio.shield(self._loading)

    async def _load(self) -> Mapping[str, Any]:
        module = await asyncio.to_thread(import_module, "daprflow.sidecar.grpc_api.task_hub")
        self._loaded = {
            name: rpc_handler(SERVICE + name, method, self._runtime)
            for name, method in module.METHODS.items()
        }
        return self._loaded
