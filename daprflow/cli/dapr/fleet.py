"""``dapr run --run-file``: the apps of a template, in the words of the official program."""

import contextlib
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from daprflow.cli.dapr.flags import FlagError, Given
from daprflow.cli.dapr.own_ports import PATIENCE, own_ports
from daprflow.cli.dapr.speech import leave_facts, tell
from daprflow.cli.run_fleet import most_talkative
from daprflow.cli.voice import printable, put
from daprflow.launcher.app_logs import FOLDER
from daprflow.launcher.exits import Exit, LaunchError
from daprflow.launcher.fleet import Fleet
from daprflow.launcher.fleet_member import Place
from daprflow.launcher.fleet_plan import FleetApp, FleetPlan
from daprflow.launcher.hub import enter_hub
from daprflow.launcher.launch import runtime_home
from daprflow.launcher.logs import configure_logging, wants_json
from daprflow.launcher.loop import run as run_loop
from daprflow.launcher.options import RunOptions, SidecarChoice, SidecarOptions
from daprflow.launcher.roll import Entry
from daprflow.launcher.run_file import STANDARD_INPUT, read_template
from daprflow.launcher.run_file_apps import plan_fleet
from daprflow.launcher.sidecar import AppSpec, SidecarInfo


def run_file(given: Given, data_dir: Path, started: float) -> int:
    """Run the apps of a template until they have ended or a signal comes; return the exit code.

    Raises:
        LaunchError: the template is wrong, or something outside stands in the way.
    """
    if given.on("kubernetes"):
        raise FlagError(
            "'dapr run -k' needs the official program; 'daprflow manifests TARGET --target "
            "kubernetes -o DIR' writes what a cluster needs for an app"
        )
    ignored = [name for name in given.values if name not in {"run-file", "runtime-path"}]
    if ignored:
        names = ", ".join(f"--{name}" for name in ignored)
        tell(f"ignored beside --run-file, write them to the template: {names}")
    env, base = dict(os.environ), Path.cwd()
    plan, options = planned(given, data_dir, base, env)
    configure_logging(most_talkative(plan), as_json=wants_json())
    voice = DaprFleetVoice(plan, given.text("run-file"), env.get("DAPR_API_TOKEN") or None)
    with contextlib.ExitStack() as promises:
        apps = tuple(with_ports(app, promises) for app in plan.apps)
        fleet = Fleet(replace(plan, apps=apps), options, env, voice, enter=enter_hub)
        return voice.ended(run_loop(fleet.run(started)))


def planned(
    given: Given, data_dir: Path, base: Path, env: Mapping[str, str]
) -> tuple[FleetPlan, RunOptions]:
    """Return what a template asks for, and what counts for all of it.

    Raises:
        LaunchError: the template is wrong.
    """
    runtime = Path(given.text("runtime-path")) if given.has("runtime-path") else None
    options = RunOptions(
        base=base,
        sidecar=SidecarOptions(data_dir=data_dir, log_as_json=wants_json()),
        choice=SidecarChoice.EMBEDDED,
        start_timeout=PATIENCE,
        runtime_path=runtime,
    )
    options = replace(options, resources_beside=runtime_home(options, env))
    return plan_fleet(read_template(given.text("run-file"), base), options, env), options


def with_ports(app: FleetApp, promises: contextlib.ExitStack) -> FleetApp:
    """Give an app's sidecar ports of its own where none are named."""
    options = own_ports(app.options, promises) if app.replicas == 1 else app.options
    return replace(app, options=options)


class DaprFleetVoice:
    """Speaks as ``dapr run --run-file`` does; see `daprflow.launcher.fleet.FleetVoice`.

    Args:
        plan: what runs.
        named: the template as the user named it.
        token: what the sidecars ask their callers for.
    """

    def __init__(self, plan: FleetPlan, named: str, token: str | None) -> None:
        self._plan = plan
        file = named if named == STANDARD_INPUT else str(plan.file.resolve())
        self._template = {"runTemplatePath": file, "runTemplateName": plan.name}
        self._token = token
        self._stopped = False

    def speaker(self, app: FleetApp, place: Place) -> "AppSpeaker":
        """Return what speaks for one app."""
        tell(f'Validating config and starting app "{place.name}"')
        facts = {"cliPID": str(os.getpid()), **self._template}
        return AppSpeaker(app, place.name, facts, self._token)

    def roll(self, entries: Sequence[Entry], seconds: float) -> None:
        """Leave it to the lines of each app."""

    def say(self, line: str) -> None:
        """Print one line."""
        tell(line)

    def warn(self, line: str) -> None:
        """Print one line on standard error."""
        put(sys.stderr, f"dapr: {printable(line)}\n")

    def stopping(self) -> None:
        """Say that all end because somebody asked for that."""
        self._stopped = True
        tell(
            "Received signal to stop Dapr and app processes. Shutting down Dapr and app processes."
        )

    def ended(self, code: int) -> int:
        """Return the code of the run, which is 0 where it was to stop."""
        return Exit.OK if self._stopped else code


class AppSpeaker:
    """Speaks for one app; see `daprflow.launcher.fleet_member.Speaker`.

    Args:
        app: what it is.
        name: its id.
        facts: what its sidecar is told of the run.
        token: what the sidecar asks its callers for.
    """

    def __init__(
        self, app: FleetApp, name: str, facts: Mapping[str, str], token: str | None
    ) -> None:
        self._app = app
        self._name = name
        self._facts = facts
        self._token = token

    def called(self, name: str) -> None:
        """Have the lines to come bear another name."""
        self._name = name

    def output(self, line: str) -> None:
        """Print a line of the app, marked as the app's."""
        put(sys.stdout, f"== APP - {self._name} == {line}\n")

    def say(self, line: str) -> None:
        """Print one line about the app."""
        tell(f"{self._name}: {line}")

    def log(self, line: str) -> None:
        """Print a log line of its sidecar."""
        put(sys.stderr, f"{printable(line)}\n")

    def warn(self, line: str) -> None:
        """Print one line on standard error."""
        put(sys.stderr, f"dapr: app {printable(self._name)}: {printable(line)}\n")

    def ready(self, app: AppSpec, info: SidecarInfo, pid: int) -> None:
        """Leave with the sidecar what other commands ask it for, and say that all is up."""
        facts = dict(self._facts)
        if pid:
            command = self._app.options.command or (f"daprflow run {self._name}",)
            facts |= {"appPID": str(pid), "appCommand": " ".join(command)}
        with contextlib.suppress(LaunchError):  # an app that ended at once took the sidecar along
            leave_facts(info, self._token, facts)
        tell("You're up and running! Dapr logs will appear here.")
        tell(
            f'Started Dapr with app id "{app.app_id}". '
            f"HTTP Port: {info.http_port}. gRPC Port: {info.grpc_port}"
        )
        if self._app.logs.file or self._app.sidecar_logs.file:
            tell(f"Writing log files to directory : {self._app.options.base / FOLDER}")
