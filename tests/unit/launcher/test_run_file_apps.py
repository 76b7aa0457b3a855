"""From a template to apps: precedence, paths, ids, ports, and what cannot be run."""

import sys
from pathlib import Path

import pytest

from daprflow.launcher.exits import LaunchError
from daprflow.launcher.fleet_plan import FleetApp, FleetPlan
from daprflow.launcher.options import RunOptions, SidecarOptions
from daprflow.launcher.run_file import parse_template
from daprflow.launcher.run_file_apps import plan_fleet
from daprflow.protocol.run_file import LogDestination
from tests.helpers.cli_run import write

PYTHON = sys.executable


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two apps of ours and one that is a command."""
    write(tmp_path, {"shop/app.py": "", "billing/main.py": "", "web/index.js": ""})
    return tmp_path


def plan(folder: Path, apps: str, common: str = "{}", **given: object) -> FleetPlan:
    """Plan a template that lies in ``folder``."""
    text = f"version: 1\ncommon: {common}\napps:\n{apps}"
    template = parse_template(text, Path("dapr.yaml"), folder)
    options = RunOptions(base=folder, sidecar=SidecarOptions(**given))  # type: ignore[arg-type]
    return plan_fleet(template, options, {"HOME": str(folder), "PATH": "/usr/bin:/bin"})


def app(folder: Path, entry: str, common: str = "{}", **given: object) -> FleetApp:
    """Plan a template of one app."""
    return plan(folder, f"- {{{entry}}}", common, **given).apps[0]


def problems(folder: Path, apps: str, common: str = "{}") -> str:
    """What stands in the way of a template."""
    with pytest.raises(LaunchError) as caught:
        plan(folder, apps, common)
    return str(caught.value)


def test_a_folder_with_an_app_needs_nothing_more(folder: Path) -> None:
    """``app.py`` in the app's folder is its target, and the folder's name its id."""
    found = app(folder, "appDirPath: ./shop")
    assert (found.app_id, found.options.base) == ("shop", folder / "shop")
    assert found.options.target is not None
    assert found.options.target.file == folder / "shop" / "app.py"
    assert (found.logs, found.sidecar_logs) == (
        LogDestination.FILE_AND_CONSOLE,
        LogDestination.FILE,
    )


@pytest.mark.parametrize(
    ("entry", "app_id"),
    [
        ("target: ./shop", "shop"),
        ("target: billing/main.py", "billing"),
        ("target: 'shop.app:app'", "shop"),
        ("target: ./shop, appID: store", "store"),
        ("target: app.py, appDirPath: shop", "shop"),
    ],
)
def test_a_target_is_enough(folder: Path, entry: str, app_id: str) -> None:
    """A target alone says which folder, and gives the id where no other is given."""
    assert app(folder, entry).app_id == app_id


def test_a_target_goes_before_a_command(folder: Path) -> None:
    """A template may have the command that the official program needs beside the target."""
    found = app(folder, "appDirPath: shop, target: app.py, command: [daprflow, serve, .]")
    assert found.options.target is not None
    assert found.options.command == ()


def test_an_app_without_anything_to_run_is_a_sidecar_alone(folder: Path) -> None:
    """With a port it is for an app that somebody else starts."""
    assert app(folder, "appDirPath: web, appPort: 3000").alone
    assert "there is nothing to run" in problems(folder, "- appDirPath: web")


def test_values_of_the_app_go_before_what_all_share(folder: Path) -> None:
    """Each option of the sidecar is the app's, else that of all, else the command line's."""
    found = app(
        folder,
        "appDirPath: shop, daprHTTPPort: 3600, daprGRPCPort: -1, logLevel: PANIC, maxBodySize: 1Mi",
        "{logLevel: debug, appMaxConcurrency: 3, env: {A: 1}}",
        grace=9.0,
        app_health_threshold=4,
    )
    sidecar = found.options.sidecar
    assert (sidecar.dapr_http_port, sidecar.dapr_grpc_port) == (3600, None)
    assert (sidecar.log_level, sidecar.max_body_size) == ("fatal", 1024 * 1024)
    assert (sidecar.app_max_concurrency, sidecar.app_health_threshold) == (3, 4)
    assert (sidecar.grace, dict(found.options.variables)) == (9.0, {"A": "1"})


def test_resources_are_looked_for_in_the_order_of_dapr(folder: Path) -> None:
    """Those the app names, then ``.dapr/resources`` of its folder, then those of all."""
    write(folder, {"shop/own/a.yaml": "", "all/b.yaml": "", "billing/.dapr/resources/c.yaml": ""})
    apps = (
        "- {appDirPath: shop, resourcesPaths: [own], resourcesPath: ./own}\n"
        "- appDirPath: billing\n- {appDirPath: web, appPort: 80}"
    )
    found = plan(folder, apps, "{resourcesPath: ./all}").apps
    assert [each.options.sidecar.resources_path for each in found] == [
        (folder / "shop" / "own", folder / "shop" / "own"),
        (folder / "billing" / ".dapr" / "resources",),
        (folder / "all",),
    ]


def test_the_configuration_is_looked_for_likewise(folder: Path) -> None:
    """``.dapr/config.yaml`` of the app's folder goes before the file that all share."""
    write(folder, {"shop/own.yaml": "", "all.yaml": "", "billing/.dapr/config.yaml": ""})
    apps = (
        "- {appDirPath: shop, configFilePath: own.yaml}\n- appDirPath: billing\n"
        "- {appDirPath: web, appPort: 80}"
    )
    found = plan(folder, apps, "{configFilePath: ~/all.yaml}").apps
    assert [each.options.sidecar.config for each in found] == [
        (folder / "shop" / "own.yaml",),
        (folder / "billing" / ".dapr" / "config.yaml",),
        (folder / "all.yaml",),
    ]


def test_a_command_runs_in_its_folder(folder: Path) -> None:
    """Programs are found through PATH or in the app's folder."""
    found = app(folder, f"appDirPath: web, appPort: 80, command: ['{PYTHON}', -V]")
    assert (found.options.command, found.options.base) == ((PYTHON, "-V"), folder / "web")


def test_reload_is_for_targets(folder: Path) -> None:
    """``--reload`` counts for every target, the field ``reload`` for one."""
    apps = "- {appDirPath: shop, reload: true}\n- {appDirPath: web, command: [sh]}"
    assert [each.options.reload for each in plan(folder, apps).apps] == [True, False]
    assert "'reload' needs a 'target'" in problems(
        folder, "- {appDirPath: web, command: [sh], reload: true}"
    )


def test_what_two_apps_claim_is_refused(folder: Path) -> None:
    """One id or one port for two apps is an error that names both."""
    apps = "- {appDirPath: shop, appPort: 80}\n- {appDirPath: ./shop, daprHTTPPort: 80}"
    assert problems(folder, apps) == (
        "dapr.yaml:5: app 'shop' stands at dapr.yaml:4 already; give this one another appID, or "
        "that one 'replicas' to run it several times\n"
        "dapr.yaml:5: daprHTTPPort 80 of app 'shop' is appPort of app 'shop' already (dapr.yaml:4)"
    )
    assert "runs 2 times and cannot have one appPort" in problems(
        folder, "- {appDirPath: shop, appPort: 80, replicas: 2}"
    )
    apps = "- {appDirPath: shop, appID: shop-1}\n- {appDirPath: shop, replicas: 2}"
    assert problems(folder, apps) == (
        "dapr.yaml:4: 'shop-1' is the name of a replica of app 'shop' (dapr.yaml:5); give one of "
        "them another appID"
    )


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("appID: a", "the app needs 'appDirPath'"),
        ("appDirPath: nowhere", "appDirPath 'nowhere' is no folder: there is no "),
        ("target: nowhere", "no module 'nowhere' in "),
        ("target: nowhere.py", "no file 'nowhere.py'"),
        ("target: ./web", "folder './web' has no app.py or main.py"),
        ("appDirPath: shop, resourcesPaths: [x]", "resourcesPaths 'x' is no folder"),
        ("appDirPath: shop, configFilePath: x", "configFilePath 'x' is no file"),
        ("appDirPath: shop, runtimePath: x", "runtimePath 'x' is no folder"),
        ("appDirPath: shop, logLevel: loud", "logLevel 'loud' is none of debug, info"),
        ("appDirPath: shop, maxBodySize: big", "maxBodySize 'big' is no size"),
        ("appDirPath: shop, appProtocol: grpc", "a target is served over http"),
        ("appDirPath: web, appPort: 1, appProtocol: ftp", "appProtocol 'ftp' is none of"),
        ("appDirPath: web, command: [no-such-program]", "cannot run 'no-such-program'"),
        ("appDirPath: web, command: [./no]", "cannot run './no'"),
        ("appDirPath: shop, appID: a.b", "'a.b' is no id"),
        ("appDirPath: shop, appID: '" + "a" * 300 + "'", "it has 300 characters, not at most 128"),
        ('appDirPath: shop, appID: "a\\e[31m"', r"'a\x1b[31m' is no id: it has a character"),
        ("appDirPath: shop, appHealthProbeTimeout: 9000", "is longer than"),
    ],
)
def test_what_cannot_be_run_is_named(folder: Path, entry: str, problem: str) -> None:
    """Everything is looked at before anything starts, and the message has the line."""
    text = problems(folder, f"- {{{entry}}}")
    assert text.startswith("dapr.yaml:4: ")
    assert problem in text


def test_what_all_share_is_wrong_once(folder: Path) -> None:
    """A mistake in ``common`` is told once, and where it stands."""
    text = problems(folder, "- appDirPath: shop\n- appDirPath: billing", "{logLevel: loud}")
    assert text == "dapr.yaml:2: logLevel 'loud' is none of debug, info, warn, error, fatal"


def test_fields_without_an_effect_are_said_once(folder: Path) -> None:
    """What the embedded sidecar has no use for is taken, with one line each."""
    apps = (
        "- {appDirPath: shop, enableProfiling: true, containerImage: x, createService: false}\n"
        "- {appDirPath: billing, enableProfiling: true}"
    )
    assert plan(folder, apps).notes == (
        "dapr.yaml:4 and 1 more: 'enableProfiling' has no effect here: there is no profiler",
        "dapr.yaml:4: 'containerImage' has no effect here: it is for Kubernetes",
    )
