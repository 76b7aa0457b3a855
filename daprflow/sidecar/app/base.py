"""The seam between the building blocks and one app, whatever protocol it speaks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from daprflow.protocol.documents import AppConfig, Subscription
from daprflow.protocol.http import StreamedRequest, StreamedResponse
from daprflow.sidecar.app.postman import Postman
from daprflow.sidecar.channel.base import AppChannel
from daprflow.sidecar.clock import Clock
from daprflow.sidecar.components.base import BindingMessage
from daprflow.sidecar.job_scheduler import Outcome
from daprflow.sidecar.job_store import StoredJob
from daprflow.sidecar.pipeline import Pipeline
from daprflow.sidecar.resiliency.backoff import Backoff

if TYPE_CHECKING:
    from daprflow.sidecar.channel.grpc import GrpcChannel
    from daprflow.sidecar.telemetry.app_watch import AppWatch

BINDING_TIMEOUT = 3.0
"""Seconds an app has to say which input bindings it takes."""


class NotTaken(Exception):  # noqa: N818 - named for what happened
    """The app answered, but not that it took what it was given."""


@dataclass(frozen=True, slots=True)
class InputAddress:
    """Where events of an input binding go: by name over gRPC, by path over HTTP."""

    name: str
    path: str


@dataclass(frozen=True, slots=True)
class BindingReply:
    """What an app answered to an event of an input binding.

    Attributes:
        status: an HTTP status, or a gRPC one (0 to 16).
        taken: whether it is an acknowledgement.
        settled: whether it ends the attempts of a retry policy.
        data: what is passed on to ``to``, in JSON.
        to: output bindings that get ``data``; gRPC apps alone can name some.
        parallel: whether all of ``to`` are called at one time, or one after the other.
    """

    status: int
    taken: bool
    settled: bool
    reason: str = ""
    data: bytes = b""
    to: Sequence[str] = ()
    parallel: bool = False


class App(Protocol):
    """One app as its sidecar sees it.

    Calls raise `daprflow.sidecar.channel.base.AppUnreachable` when no proper answer comes, and
    `daprflow.sidecar.channel.base.AppAway` when nothing got as far as the app; `probe` and
    `healthy` tell it by their value.
    """

    @property
    def http(self) -> AppChannel | None:
        """The way to an app that speaks HTTP, None to one that does not."""
        ...

    @property
    def grpc(self) -> "GrpcChannel | None":
        """The way to an app that speaks gRPC, None to one that does not."""
        ...

    def use_pipeline(self, pipeline: Pipeline) -> None:
        """Put the middleware of ``appHttpPipeline`` around every call but health checks."""
        ...

    def watch(self, watch: "AppWatch") -> None:
        """Have deliveries and calls watched from now on; before `use_pipeline`."""
        ...

    # ---- start ----------------------------------------------------------------------------------

    async def probe(self) -> bool:
        """Tell whether the app accepts a connection now."""
        ...

    async def healthy(self, path: str) -> bool:
        """Make one health check: without a token, past the limit on concurrent calls.

        Args:
            path: what is asked of an HTTP app.
        """
        ...

    async def config(self, app_id: str) -> AppConfig:
        """Return what the app says of its actors; whatever goes wrong makes an empty one."""
        ...

    async def subscriptions(
        self, app_id: str, clock: Clock, backoff: Backoff
    ) -> tuple[Subscription, ...] | None:
        """Return what the app subscribes to; connection errors are tried again as ``backoff`` says.

        Returns:
            None where the answer makes no sense, which starts no subscription at all.
        """
        ...

    # ---- events ---------------------------------------------------------------------------------

    def postman(self, pubsub: str, topic: str, *, raw: bool) -> Postman:
        """Return what delivers the events of one subscription.

        Args:
            pubsub: name of the component.
            topic: what is subscribed to.
            raw: whether messages are taken as plain bytes.
        """
        ...

    async def takes_binding(self, binding: InputAddress) -> bool:
        """Ask whether the app has a handler for an input binding; late answers count as no."""
        ...

    async def binding_event(self, binding: InputAddress, message: BindingMessage) -> BindingReply:
        """Deliver one event of an input binding."""
        ...

    async def job(self, job: StoredJob) -> Outcome:
        """Deliver one tick of a job: done, or failed."""
        ...

    async def configuration_update(self, store: str, key: str, update: bytes) -> None:
        """Tell of a changed item; ``update`` is the whole event in JSON.

        Raises:
            NotTaken: the app did not take it.
        """
        ...

    # ---- calls ----------------------------------------------------------------------------------

    async def invoke(self, request: StreamedRequest) -> StreamedResponse:
        """Carry a call of service invocation, bodies in pieces both ways."""
        ...

    async def close(self) -> None:
        """Give back every connection; calls under way fail."""
        ...
