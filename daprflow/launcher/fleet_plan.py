"""What a run of several apps is: each app with its options, its id and where its lines go."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from daprflow.launcher.options import RunOptions
from daprflow.protocol.run_file import LogDestination

PORT_FIELDS = {
    "appPort": "app_port",
    "daprHTTPPort": "dapr_http_port",
    "daprGRPCPort": "dapr_grpc_port",
    "metricsPort": "metrics_port",
}


@dataclass(frozen=True, slots=True)
class FleetApp:
    """One app of several, ready to be run.

    Attributes:
        options: ``base`` is the app's folder. Without target and command it has its sidecar alone.
        place: where the template has it.
        id_given: whether the template says its id, and not its folder's name.
        logs: its own lines.
        sidecar_logs: those of its sidecar.
        replicas: how many processes of it run under its id.
    """

    options: RunOptions
    place: str
    id_given: bool
    logs: LogDestination
    sidecar_logs: LogDestination
    replicas: int = 1

    @property
    def app_id(self) -> str:
        """Its id, which a template always settles."""
        return self.options.sidecar.app_id or ""

    @property
    def alone(self) -> bool:
        """Whether it is a sidecar for an app that somebody else starts."""
        return self.options.target is None and not self.options.command

    def names(self) -> Iterator[str]:
        """Yield what each of its processes is called: by its number where there are several."""
        for number in range(1, self.replicas + 1):
            yield self.named(number, self.app_id or "replica")

    def named(self, number: int, app_id: str) -> str:
        """Return what one of its processes is called under an id."""
        return app_id if self.replicas == 1 else f"{app_id}-{number}"

    def ports(self) -> Iterator[tuple[str, int]]:
        """Yield the ports it asks for, by the template's names."""
        for name, attribute in PORT_FIELDS.items():
            port = getattr(self.options.sidecar, attribute)
            if port is not None:
                yield name, port


@dataclass(frozen=True, slots=True)
class FleetPlan:
    """What a template asks for.

    Attributes:
        file: the template, as the user named it.
        notes: one line for each field without an effect.
    """

    name: str
    file: Path
    apps: tuple[FleetApp, ...]
    notes: tuple[str, ...] = ()
