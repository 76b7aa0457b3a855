"""The apps beside the one under test: what a test has answer for them."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Concatenate, TypeVar, overload

from daprflow.addresses import Activity, Endpoint, Workflow
from daprflow.testing.fake_worker import FakeWorker
from daprflow.testing.fakes import FakeApp
from daprflow.testing.stage import Plan, Stage
from daprflow.testing.trouble import Trouble

if TYPE_CHECKING:
    from daprflow.app import DaprFlow

In = TypeVar("In")
Out = TypeVar("Out")


class Others(Trouble):
    """The part of a `TestSidecar` that stands in for other apps."""

    _app: "DaprFlow"
    _plan: Plan
    _running: Stage | None
    _fakes: dict[str, FakeApp]
    _workers: dict[str, FakeWorker]

    @overload
    def fake(
        self,
        handle: Endpoint[None, Out] | Activity[None, Out] | Workflow[None, Out],
        fn: Callable[..., Awaitable[Out]],
        /,
    ) -> None: ...

    @overload
    def fake(
        self,
        handle: Endpoint[In, Out] | Activity[In, Out] | Workflow[In, Out],
        fn: Callable[Concatenate[In, ...], Awaitable[Out]],
        /,
    ) -> None: ...

    def fake(
        self,
        handle: Endpoint[Any, Any] | Activity[Any, Any] | Workflow[Any, Any],
        fn: Callable[..., Awaitable[Any]],
        /,
    ) -> None:
        """Answer a method, an activity or a workflow of another app with a function of the test.

        Parameters of path, query and headers it takes as a handler does, after ``*``. A method may
        raise Starlette's ``HTTPException``; anything else it raises is a 500. What an activity or
        a workflow raises is its failure; a workflow ends with what its function returns.

        Args:
            handle: what calls of it name.
            fn: takes the input, and returns the result, as the handle says.

        Raises:
            ValueError: the handle is the app's own; those are tested as they are.

        Example: ``dapr.fake(price, free)  # async def free(order: Order) -> int: ...``
        """
        if handle.app_id in ("", *(each.app_id for each in (*self._plan.peers, self._app))):
            raise ValueError(
                f"{handle!r} belongs to the app under test, or to a peer of it; fakes are for "
                "other apps' endpoints, activities and workflows"
            )
        if isinstance(handle, Activity | Workflow):
            self._fake_work(handle, fn)
            return
        self._fake_app(handle.app_id).answer(handle, fn)

    def grpc_app(self, app_id: str, port: int, /) -> None:
        """Let another app be found that listens for gRPC on a port of this machine.

        It is what ``client.grpc_channel(app_id)`` calls: a ``grpc.aio`` server that the test
        started with its own servicers, on ``127.0.0.1``.

        Args:
            app_id: the app's.
            port: where its server listens.

        Raises:
            ValueError: it is the app under test, which speaks HTTP.

        Example: ``dapr.grpc_app("pricing", 50007)``
        """
        if app_id == self._app.app_id:
            raise ValueError(f"'{app_id}' is the app under test, which speaks HTTP")
        self._stage.peers.join_grpc(app_id, port)

    def _fake_for(self, app_id: str) -> None:
        """Have somebody answer for an app: a fault on its methods needs one."""
        running = (each.app_id for each in (*self._plan.peers, self._app))
        if app_id not in ("", *running):
            self._fake_app(app_id)

    def _fake_app(self, app_id: str) -> FakeApp:
        fake = self._fakes.get(app_id)
        if fake is None:
            fake = self._fakes[app_id] = FakeApp(app_id, self._app.codecs)
            if self._running is not None:
                self._running.peers.join(app_id, fake, self._faults)
        return fake

    def _fake_work(
        self,
        handle: Activity[Any, Any] | Workflow[Any, Any],
        fn: Callable[..., Awaitable[Any]],
    ) -> None:
        worker = self._workers.get(handle.app_id)
        if worker is None:
            worker = self._workers[handle.app_id] = FakeWorker(
                handle.app_id, self._app.codecs, self._faults
            )
            if self._running is not None:
                worker.start(self._running.runtime.engine)
        worker.answer(handle, fn)

    async def _stop_workers(self) -> None:
        for worker in self._workers.values():
            await worker.stop()
