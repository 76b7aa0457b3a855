"""What the command line says of the apps of a template."""

from pathlib import Path

import pytest

from daprflow.cli.run_fleet import most_talkative, refuse_what_is_one_apps, with_replicas
from daprflow.launcher.exits import LaunchError
from daprflow.launcher.fleet_plan import FleetApp, FleetPlan
from daprflow.launcher.options import RunOptions, SidecarOptions
from daprflow.protocol.run_file import LogDestination


def app(app_id: str, app_port: int | None = None, log_level: str = "info") -> FleetApp:
    """An app of a template."""
    sidecar = SidecarOptions(app_id=app_id, app_port=app_port, log_level=log_level)
    console = LogDestination.CONSOLE
    options = RunOptions(base=Path("/x"), sidecar=sidecar)
    return FleetApp(options, "dapr.yaml:3", id_given=True, logs=console, sidecar_logs=console)


PLAN = FleetPlan("", Path("dapr.yaml"), (app("shop"), app("web", 80, "warn"), app("a")))


def test_replicas_of_the_command_line_go_first() -> None:
    """``ID=N`` says how often an app runs; the others stay as they are."""
    plan = with_replicas(PLAN, ["shop=3", "web=1"])
    assert [each.replicas for each in plan.apps] == [3, 1, 1]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("shp=2", "--replicas shp=2: dapr.yaml has no app 'shp'; did you mean 'shop'?"),
        ("3", "dapr.yaml has no app '3'; it has shop, web, a"),
        ("shop=0", "--replicas shop=0 is no ID=NUMBER, such as shop=3"),
        ("shop", "--replicas shop is no ID=NUMBER"),
        ("web=2", "app 'web' cannot have one appPort for all of them; leave it out of dapr.yaml:3"),
    ],
)
def test_replicas_that_cannot_be_are_refused(text: str, problem: str) -> None:
    """An unknown app, no number and a port for all are told with what to do."""
    with pytest.raises(LaunchError) as caught:
        with_replicas(PLAN, [text])
    assert problem in str(caught.value)


def test_options_of_one_app_belong_to_the_template() -> None:
    """A port or an id on the command line could not be everybody's."""
    refuse_what_is_one_apps(SidecarOptions())
    with pytest.raises(LaunchError, match=r"--dapr-http-port is for one app; .*'daprHTTPPort'"):
        refuse_what_is_one_apps(SidecarOptions(dapr_http_port=3600))


def test_no_app_goes_without_its_log_lines() -> None:
    """The process of all sidecars logs from the lowest level on that an app asks for."""
    assert most_talkative(PLAN) == "info"
    assert most_talkative(FleetPlan("", Path("x"), (app("b", log_level="debug"), *PLAN.apps))) == (
        "debug"
    )
