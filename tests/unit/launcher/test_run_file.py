"""Reading a template of several apps: its fields, and every mistake with its line."""

from pathlib import Path

import msgspec
import pytest

from daprflow.launcher.exits import LaunchError
from daprflow.launcher.run_file import Template, parse_template, read_template
from daprflow.protocol.run_file import LogDestination, RunFileApp, RunFileCommon, merged

# Every field of the official template, as its own documentation and parser have them.
SHARED = {
    "configFilePath", "appProtocol", "apiListenAddresses", "enableProfiling", "logLevel",
    "appMaxConcurrency", "placementHostAddress", "schedulerHostAddress", "resourcesPath",
    "resourcesPaths", "appSSL", "maxBodySize", "readBufferSize", "enableAppHealthCheck",
    "appHealthCheckPath", "appHealthProbeInterval", "appHealthProbeTimeout",
    "appHealthThreshold", "enableApiLogging", "runtimePath", "env", "daprdLogDestination",
    "appLogDestination",
}  # fmt: skip
OF_APPS = {
    "appID", "appDirPath", "appChannelAddress", "appPort", "daprHTTPPort", "daprGRPCPort",
    "daprInternalGRPCPort", "profilePort", "metricsPort", "command", "unixDomainSocket",
    "containerImage", "containerImagePullPolicy", "createService",
}  # fmt: skip


def parsed(text: str) -> Template:
    """What a text says, as the file ``dapr.yaml`` of ``/home/ann``."""
    return parse_template(text, Path("dapr.yaml"), Path("/home/ann"))


def problems_of(text: str) -> list[str]:
    """What is wrong with a text, a line each."""
    with pytest.raises(LaunchError) as caught:
        parsed(text)
    return str(caught.value).splitlines()


def test_every_field_of_dapr_is_known() -> None:
    """A template that the official program reads is read here, with three fields more."""
    common = {field.encode_name for field in msgspec.structs.fields(RunFileCommon)}
    app = {field.encode_name for field in msgspec.structs.fields(RunFileApp)}
    assert common == SHARED
    assert app == SHARED | OF_APPS | {"target", "replicas", "reload"}


def test_values_come_as_their_fields_have_them() -> None:
    """Texts, numbers, truth values, lists and destinations are read as such."""
    found = parsed("""
version: 1
name: shop
common:
  appMaxConcurrency: -1
  schedulerHostAddress: ""
apps:
- appID: web
  appDirPath: ./web
  appPort: 8000
  enableAppHealthCheck: true
  command: [node, app.js, 8080, true]
  daprdLogDestination: console
  maxBodySize: 65536
""").document
    (app,) = found.apps
    assert (found.name, found.common.app_max_concurrency) == ("shop", -1)
    assert (found.common.scheduler_host_address, found.common.placement_host_address) == ("", None)
    assert app.command == ("node", "app.js", "8080", "true")
    assert (app.app_port, app.enable_app_health_check, app.max_body_size) == (8000, True, "65536")
    assert app.daprd_log_destination is LogDestination.CONSOLE


def test_variables_are_what_is_written() -> None:
    """Numbers and truth values of ``env`` are texts, as they stand there; nothing is expanded."""
    found = parsed("""
version: 1
common: {env: {VERSION: 1.10, HEX: 0x10, DEBUG: false, EMPTY: , PATH: "$HOME/bin"}}
apps: [{appDirPath: .}]
""")
    assert found.document.common.env == {
        "VERSION": "1.10",
        "HEX": "0x10",
        "DEBUG": "false",
        "EMPTY": "",
        "PATH": "$HOME/bin",
    }


def test_an_anchor_may_be_merged() -> None:
    """What is taken over with ``<<`` counts, and its own place is known."""
    (app,) = parsed("""
version: 1
apps:
- &base {appDirPath: ./a, logLevel: debug, env: {A: 1}}
- {<<: *base, appDirPath: ./b}
""").document.apps[1:]
    assert (app.app_dir_path, app.log_level, dict(app.env)) == ("./b", "debug", {"A": "1"})


def test_every_mistake_is_named_with_its_line() -> None:
    """File, line, app and the nearest field are in the message, all mistakes at once."""
    assert problems_of("""version: 1
common:
  appPort: 3
apps:
- appID: web
  appDirPath: ./web
  appPrt: 8000
  command: python app.py
- target: ./billing
  appPort: "80"
  metricsPort: 70000
  replicas: 0
  appLogDestination: both
  env: [a]
""") == [
        "dapr.yaml:3: 'appPort' belongs to an app, not to 'common'",
        "dapr.yaml:7: app 'web' has no field 'appPrt'; did you mean 'appPort'?",
        """dapr.yaml:8: app 'web': 'command' must be a list, such as ["python3", "app.py"]""",
        "dapr.yaml:10: app './billing': 'appPort' must be a whole number",
        "dapr.yaml:11: app './billing': 'metricsPort' is no port: 70000",
        "dapr.yaml:12: app './billing': 'replicas' must be 1 or more",
        (
            "dapr.yaml:13: app './billing': 'appLogDestination' must be one of "
            "console, file, fileAndConsole"
        ),
        "dapr.yaml:14: app './billing': 'env' must be a mapping of names to texts",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "'dapr.yaml' is no template"),
        ("- a", "'dapr.yaml' is no template"),
        ("apps: [{appDirPath: .}]", "dapr.yaml:1: the template needs 'version: 1'"),
        ("version: 0\napps: [{appDirPath: .}]", "dapr.yaml:1: the template needs 'version: 1'"),
        ("version: 1", "'apps' must be a list of at least one app"),
        ("version: 1\napps: []", "dapr.yaml:2: 'apps' must be a list of at least one app"),
        ("version: 1\napps: [web]", "dapr.yaml:2: each of 'apps' must be a mapping"),
        ("version: 1\nap: []\napps: [{appDirPath: .}]", "has no field 'ap'; did you mean 'apps'?"),
        ("version: 1\ncommon: [a]\napps: [{appDirPath: .}]", "'common' must be a mapping"),
        ("version: 1\nversion: 1", "dapr.yaml:2: key 'version' stands here twice"),
        ("version: 1\napps: [", "correct the YAML there"),
    ],
)
def test_what_is_no_template_is_refused(text: str, problem: str) -> None:
    """An empty file, another document and broken YAML are named as such."""
    assert problem in "\n".join(problems_of(text))


def test_a_folder_stands_for_its_dapr_yaml(tmp_path: Path) -> None:
    """The folder of a template may be given instead; paths start from it."""
    place = tmp_path / "deploy"
    place.mkdir()
    (place / "dapr.yaml").write_text("version: 1\napps: [{appDirPath: .}]", encoding="utf-8")
    found = read_template("deploy", tmp_path)
    assert (found.file, found.folder) == (Path("deploy/dapr.yaml"), place)


def test_a_template_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """The file that was looked for is named."""
    with pytest.raises(LaunchError, match=r"cannot read 'dapr\.yaml': No such file"):
        read_template(".", tmp_path)


def test_zeros_of_an_app_leave_what_all_share() -> None:
    """``false`` and 0 of an app do not override ``common``; variables are put together."""
    common = RunFileCommon(
        enable_app_health_check=True,
        app_health_threshold=7,
        log_level="debug",
        placement_host_address="there",
        env={"A": "1", "B": "1"},
    )
    app = RunFileApp(
        enable_app_health_check=False,
        app_health_threshold=0,
        log_level="warn",
        placement_host_address="",
        env={"B": "2"},
    )
    found = merged(app, common)
    assert (found.enable_app_health_check, found.app_health_threshold) == (True, 7)
    assert (found.log_level, found.placement_host_address) == ("warn", "")
    assert dict(found.env) == {"A": "1", "B": "2"}
