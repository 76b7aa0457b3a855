"""``daprflow run --run-file``: several apps from one template."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace

from daprflow.cli.fleet_voice import ConsoleFleetVoice
from daprflow.launcher.exits import Exit, LaunchError
from daprflow.launcher.fleet import Fleet, members
from daprflow.launcher.fleet_plan import FleetApp, FleetPlan
from daprflow.launcher.logs import configure_logging
from daprflow.launcher.loop import run as run_loop
from daprflow.launcher.options import LEVELS, RunOptions, SidecarOptions
from daprflow.launcher.run_file import read_template
from daprflow.launcher.run_file_apps import plan_fleet
from daprflow.protocol.run_file import LogDestination

OF_ONE_APP = {
    "app_id": "appID",
    "app_port": "appPort",
    "dapr_http_port": "daprHTTPPort",
    "dapr_grpc_port": "daprGRPCPort",
    "metrics_port": "metricsPort",
}
"""Options that only one app can have, and what they are called in a template."""


def run_fleet(
    named: str,
    options: RunOptions,
    env: Mapping[str, str],
    *,
    replicas: Sequence[str] = (),
    started: float,
) -> int:
    """Run the apps of a template; return the exit code.

    Args:
        named: the file, its folder, or ``-``.
        options: of the command line, for all of them.
        env: of this process.
        replicas: ``ID=N``, which goes before what the template says.
        started: when the user pressed return, on `time.monotonic`.

    Raises:
        LaunchError: the template is wrong, or something outside stands in the way.
    """
    refuse_what_is_one_apps(options.sidecar)
    plan = plan_fleet(read_template(named, options.base), options, env)
    plan = with_replicas(plan, replicas)
    configure_logging(most_talkative(plan))
    voice = ConsoleFleetVoice([place.name for _, place in members(plan)], env)
    return run_loop(Fleet(plan, options, env, voice).run(started))


def run_replicas(
    options: RunOptions, env: Mapping[str, str], replicas: Sequence[str], *, started: float
) -> int:
    """Run one app several times under its id; return the exit code.

    Args:
        options: of the run.
        env: of this process.
        replicas: how many, as one number.
        started: when the user pressed return, on `time.monotonic`.

    Raises:
        LaunchError: that is no number, or only one process can have what the options name.
    """
    text = replicas[-1]
    if not text.isdecimal() or int(text) < 1:
        raise LaunchError(f"--replicas {text} is no number of processes, such as 3", Exit.USAGE)
    ports = {name for name in OF_ONE_APP if name != "app_id"}
    named = [name for name in sorted(ports) if getattr(options.sidecar, name) is not None]
    if named and int(text) > 1:
        flag = "--" + named[0].replace("_", "-")
        raise LaunchError(
            f"--replicas {text}: they cannot have one {flag} for all of them; leave it out",
            Exit.USAGE,
        )
    console = LogDestination.CONSOLE
    app = FleetApp(options, "--replicas", id_given=True, logs=console, sidecar_logs=console)
    plan = FleetPlan("", options.base, (replace(app, replicas=int(text)),))
    voice = ConsoleFleetVoice([place.name for _, place in members(plan)], env)
    return run_loop(Fleet(plan, options, env, voice).run(started))


def refuse_what_is_one_apps(sidecar: SidecarOptions) -> None:
    """Refuse options that cannot count for several apps.

    Raises:
        LaunchError: such an option was given.
    """
    for name, field in OF_ONE_APP.items():
        if getattr(sidecar, name) is not None:
            flag = "--" + name.replace("_", "-")
            raise LaunchError(
                f"{flag} is for one app; with --run-file, write '{field}' to that app", Exit.USAGE
            )


def with_replicas(plan: FleetPlan, replicas: Sequence[str]) -> FleetPlan:
    """Return a plan whose apps run as often as ``ID=N`` says.

    Raises:
        LaunchError: there is no such app, or no such number.
    """
    apps = {app.app_id: app for app in plan.apps}
    for text in replicas:
        app_id, _, number = text.partition("=")
        if app_id not in apps:
            near = difflib.get_close_matches(app_id, apps, 1)
            hint = f"did you mean '{near[0]}'?" if near else f"it has {', '.join(apps)}"
            raise LaunchError(
                f"--replicas {text}: {plan.file} has no app '{app_id}'; {hint}", Exit.USAGE
            )
        if not number.isdecimal() or int(number) < 1:
            raise LaunchError(f"--replicas {text} is no ID=NUMBER, such as shop=3", Exit.USAGE)
        app = apps[app_id]
        port = next((name for name, _ in app.ports()), None)
        if int(number) > 1 and port is not None:
            raise LaunchError(
                f"--replicas {text}: app '{app_id}' cannot have one {port} for all of them; leave "
                f"it out of {app.place}",
                Exit.USAGE,
            )
        apps[app_id] = replace(app, replicas=int(number))
    return replace(plan, apps=tuple(apps.values()))


def most_talkative(plan: FleetPlan) -> str:
    """Return the level of log lines that no app goes without."""
    levels = {app.options.sidecar.log_level for app in plan.apps}
    return min(levels, key=LEVELS.index)
