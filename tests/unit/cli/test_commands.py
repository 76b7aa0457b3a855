"""The command line itself: settings, flags, errors in one line."""

from pathlib import Path

import msgspec
import pytest
import typer

from daprflow.cli.calls import content_type, find, refusal
from daprflow.cli.commands import COMMANDS
from daprflow.cli.flags import quantity, sidecar_options
from daprflow.cli.settings import defaults
from daprflow.cli.voice import printable
from daprflow.launcher.exits import LaunchError
from daprflow.protocol.http import HttpResponse
from tests.helpers.cli_run import finish, write
from tests.helpers.shell import code_of

APP = """
from daprflow import DaprFlow

app = DaprFlow("shop")


@app.topic("pubsub", "orders", dead_letter="dead")
async def add(order: dict[str, int]) -> None: ...
"""
WALL = """
from starlette.middleware import Middleware


class Wall:
    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http" and scope["path"].startswith("/dapr/"):
            await send({"type": "http.response.start", "status": 302, "headers": []})
            await send({"type": "http.response.body", "body": b""})
        else:
            await self.app(scope, receive, send)


class Door(Wall):
    async def __call__(self, scope, receive, send):
        await self.app(scope, receive, send)
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


# ---- flags, environment, daprflow.toml


def test_settings_of_a_command_go_before_those_of_all(here: Path) -> None:
    """A table named as a command wins over the top level; dashes and underscores are one."""
    write(
        here, {"daprflow.toml": 'log-level = "warn"\n[run]\nlog_level = "debug"\nreload = true\n'}
    )
    found = defaults(here, COMMANDS)
    assert found["run"] == {"log_level": "debug", "reload": True}
    assert found["sidecar"] == {"log_level": "warn"}


def test_no_file_means_no_settings(here: Path) -> None:
    """The file is optional."""
    assert defaults(here, COMMANDS) == {}


@pytest.mark.parametrize(
    ("text", "says"),
    [("run = [", "is no TOML"), ("[rnu]\n", r"\[rnu\], which is no command")],
)
def test_a_wrong_settings_file_is_one_line(here: Path, text: str, says: str) -> None:
    """The file and the place are named."""
    write(here, {"daprflow.toml": text})
    with pytest.raises(LaunchError, match=says):
        defaults(here, COMMANDS)


def test_a_setting_that_is_no_option_is_told(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A typing error in the file is told; an option of another command may stand there."""
    write(here, {"daprflow.toml": 'app-port = 8000\nlog-levle = "debug"\n'})
    assert code_of("routes", ".") == 2
    assert "sets 'log_levle', which is an option of no command" in capfd.readouterr().err


def test_a_setting_has_the_name_of_its_option(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """What the file calls as the command line does is heard, whatever the parameter's name."""
    write(here, {"app.py": APP, "daprflow.toml": 'sidecar = "nonsense"\n'})
    assert code_of("run", ".") == 2
    assert "'nonsense' is not one of" in capfd.readouterr().err


def test_one_value_is_enough_where_several_may_stand(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A single resources folder needs no list in the file."""
    write(here, {"app.py": APP, "daprflow.toml": 'resources-path = "nowhere"\n'})
    assert code_of("run", ".") == 2
    assert "--resources-path 'nowhere' is no folder" in capfd.readouterr().err


@pytest.mark.parametrize("words", [("run",), ("sidecar",), ("serve",), ("publish",), ()])
def test_help_of_an_ordinary_terminal_is_whole(here: Path, words: tuple[str, ...]) -> None:
    """Eighty columns are enough for every option's name and every command's sentence."""
    code, text = finish(here, *words, "--help", env={"COLUMNS": "80"})
    assert code == 0
    assert "--help" in text
    assert "…" not in text.replace("daprflow run …", "")
    assert "..." not in text.replace("[ARGS]...", "")


def test_flag_beats_environment_beats_file(here: Path) -> None:
    """The order of the sources, seen through a level that is refused."""
    write(here, {"app.py": APP, "daprflow.toml": '[run]\nlog-level = "one"\n'})
    env = {"DAPRFLOW_LOG_LEVEL": "two"}
    for words, given, named in ((), {}, "one"), ((), env, "two"), (("--log-level", "3"), env, "3"):
        code, text = finish(here, "run", ".", *words, env=given)
        assert code == 2
        assert f"'{named}' is none of" in text


@pytest.mark.parametrize(
    ("text", "size"),
    [("4Mi", 4_194_304), ("4Ki", 4096), ("1M", 1_000_000), ("77", 77), ("-1", -1)],
)
def test_sizes_are_kubernetes_quantities(text: str, size: int) -> None:
    """As the runtime's flags take them."""
    assert quantity(text) == size


def test_a_wrong_size_names_its_option(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Two options are sizes; the line says which one is wrong."""
    assert code_of("run", ".", "--read-buffer-size", "much") == 2
    assert "--read-buffer-size 'much' is no size" in capfd.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ("run", ".", "--max-body-size", "much"),
        ("run", ".", "--log-level", "loud"),
        ("run", ".", "--app-port", "0"),
        ("run", ".", "--app-id", "a.b"),
        ("run", ".", "--resources-path", "nowhere"),
        ("run", ".", "--sidecar", "real"),
        ("run", ".", "--app-health-probe-timeout", "9000"),
        ("run", "."),
        ("run",),
        ("run", ".", "--", "true"),
        ("run", "nowhere"),
        ("sidecar",),
        ("sidecar", "--app-id", "x", "--config", "nowhere.yaml"),
        ("publish", "pubsub", "topic", "1", "--metadata", "x"),
        ("nonsense",),
    ],
)
def test_misuse_is_told_with_exit_code_2(
    here: Path, words: tuple[str, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    """No traceback, and something on standard error."""
    assert code_of(*words) == 2
    text = capfd.readouterr().err
    assert text
    assert "Traceback" not in text


def test_the_probes_timeout_may_not_exceed_their_interval() -> None:
    """The same rule as the runtime's."""
    from daprflow.cli import flags

    values = dict(flags._DEFAULTS) | {"app_health_probe_timeout": 5000}
    assert sidecar_options({k: values[k] for k in flags.SIDECAR_FLAGS}).app_health_threshold == 3


def test_what_can_not_be_stood_in_for_is_refused() -> None:
    """A name that is no type of component is a mistake of the command line."""
    from daprflow.cli import flags

    values = {name: flags._DEFAULTS[name] for name in flags.SIDECAR_FLAGS}
    values["stand_in"] = ["state.postgresql"]
    assert sidecar_options(values).stand_in == ("state.postgresql",)
    with pytest.raises(typer.BadParameter, match="'statestore' is no type of component"):
        sidecar_options(values | {"stand_in": ["statestore"]})
    with pytest.raises(typer.BadParameter, match=r"did you mean 'state\.postgresql'\?"):
        sidecar_options(values | {"stand_in": ["state.postgresq"]})
    rare = ("state.mongodb", "pubsub.kafka")  # the sidecar has neither: they are anyway
    assert sidecar_options(values | {"stand_in": [*rare]}).stand_in == rare


# ---- configuration files


@pytest.mark.parametrize(
    ("spec", "code", "says"),
    [
        ("mtls: {enabled: true}", 2, "c.yaml:3: the embedded sidecar has no mTLS"),
        (
            "httpPipeline: {handlers: [{name: o, type: middleware.http.opa}]}",
            2,
            "no middleware 'middleware.http.opa'",
        ),
    ],
)
def test_a_configuration_that_protects_is_refused(
    here: Path, spec: str, code: int, says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Running open what was asked to be closed is worse than not running."""
    write(here, {"c.yaml": f"kind: Configuration\nspec:\n  {spec}\n"})
    assert code_of("sidecar", "--app-id", "x", "--config", "c.yaml") == code
    assert says in capfd.readouterr().err


# ---- check, routes


def test_check_accepts_a_sound_app(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Every probe arrives, no handler is called."""
    write(here, {"sound1.py": APP})
    assert code_of("check", "sound1.py") == 0
    assert "app 'shop' is sound: 1 handler;" in capfd.readouterr().out


def test_check_names_the_middleware_that_stops_a_sidecar(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The probe, what it is for, and the blocker; exit code 1."""
    app = WALL + APP.replace('"shop"', '"shop", middleware=[Middleware(Door), Middleware(Wall)]')
    write(here, {"walled2.py": app})
    assert code_of("check", "walled2.py") == 1
    text = capfd.readouterr().err
    assert "GET /dapr/subscribe (the app's subscriptions) is stopped by middleware 'Wall'" in text
    assert "deliveries to topic 'pubsub/orders'" in text
    assert "Door" not in text


def test_check_lists_every_problem_of_a_definition(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """All mistakes at once, one line each."""
    wrong = "\n@app.invoke\nasync def {0}(a: int, *, b: frozenset[int]) -> int: ...\n"
    write(here, {"wrong3.py": APP + wrong.format("one") + wrong.format("two")})
    assert code_of("check", "wrong3.py") == 1
    lines = capfd.readouterr().err.splitlines()
    assert any("one" in line for line in lines)
    assert any("two" in line for line in lines)


def test_check_looks_at_what_a_start_would_read(
    here: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable that cannot be used, and a path that metrics and a handler both want."""
    metrics = '\n@app.invoke("GET", "/metrics")\nasync def metrics() -> str: ...\n'
    write(here, {"sound7.py": APP, "taken8.py": APP + metrics})
    monkeypatch.setenv("DAPRFLOW_METRICS", "on")
    assert code_of("check", "taken8.py") == 1
    assert "'GET /metrics' is to answer for MetricsWatcher" in capfd.readouterr().err
    monkeypatch.setenv("DAPRFLOW_METRICS", "often")
    assert code_of("check", "sound7.py") == 1
    assert "environment variable 'DAPRFLOW_METRICS' is 'often'" in capfd.readouterr().err


def test_routes_tells_what_stands_around_a_handler(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Schedules and rules, limits, events that are handled once, interceptors and middleware."""
    more = """
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware

async def timing(delivery, call): return await call(delivery)

@app.topic("pubsub", "paid", dead_letter="dead", once="store", max_concurrency=3)
async def paid(order: dict[str, int]) -> None: ...

@app.invoke(interceptors=[timing], middleware=[Middleware(GZipMiddleware)])
async def quote(order: int) -> int: ...
"""
    write(here, {"around9.py": APP + more})
    assert code_of("routes", "around9.py") == 0
    text = capfd.readouterr().out
    assert "dead_letter=dead max_concurrency=3 once=store" in text
    assert "interceptors=timing middleware=GZipMiddleware" in text


def test_routes_prints_the_table(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Kind, name, verb, path, handler, payload and source line."""
    get = '\n@app.invoke("GET", "/a/{b}")\nasync def get(*, b: str) -> None: ...\n'
    write(here, {"routed4.py": APP + get})
    assert code_of("routes", "routed4.py") == 0
    text = capfd.readouterr().out
    for part in (
        "topic",
        "pubsub/orders",
        "/dapr/topics/pubsub/orders",
        "add",
        "routed4:",
        "GET   /a/{b}",
    ):
        assert part in text


WORK = """
from daprflow import DaprFlow, WorkflowContext

app = DaprFlow("shop")


@app.activity
def charge(amount: int) -> int: ...


@app.workflow(name="checkout", version="1")
async def old(ctx: WorkflowContext, amount: int) -> int: ...


@app.workflow(name="checkout", version="2", default={default})
async def new(ctx: WorkflowContext, amount: int) -> int: ...
"""


def test_routes_prints_workflows_with_their_versions(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Work that comes over gRPC has no verb and no path; versions and the default are told."""
    write(here, {"worked5.py": WORK.format(default=True)})
    assert code_of("routes", "worked5.py") == 0
    lines = [line.split() for line in capfd.readouterr().out.splitlines()]
    assert lines[0] == ["app", "'shop'", "has", "3", "handlers"]
    assert lines[2] == ["activity", "charge", "-", "-", "charge", "int", "worked5:7"]
    assert lines[3][:6] == ["workflow", "checkout", "(version", "1)", "-", "-"]
    assert lines[4][:6] == ["workflow", "checkout", "(version", "2,", "default)", "-"]


def test_check_reports_workflows_with_their_place(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A sound app with workflows passes; what is wrong with them is told with module and line."""
    write(here, {"sound6.py": WORK.format(default=True), "wrong6.py": WORK.format(default=False)})
    assert code_of("check", "sound6.py") == 0
    assert "is sound: 3 handlers" in capfd.readouterr().out
    assert code_of("check", "wrong6.py") == 1
    text = capfd.readouterr().err
    assert "workflow 'old' (wrong6:11) has several versions and none says 'default=True'" in text


# ---- publish, invoke


@pytest.mark.parametrize("words", [("publish", "pubsub", "a", "1"), ("invoke", "shop", "total")])
def test_without_a_run_a_poke_says_what_to_do(
    here: Path, words: tuple[str, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    """One line: nothing runs here, and two ways on."""
    assert code_of(*words) == 4
    text = capfd.readouterr().err
    assert "nothing runs in '.daprflow'" in text
    assert "--dapr-http-port" in text
    assert "'daprflow list --all' shows what runs elsewhere" in text


@pytest.mark.parametrize(
    ("status", "code", "message", "meant"),
    [
        (500, "ERR_DIRECT_INVOKE", "id: shp, err: couldn't find service: shp", 3),
        (404, "ERR_PUBSUB_NOT_FOUND", "pubsub pubusb is not found", 3),
        (400, "ERR_STATE_STORE_NOT_FOUND", "state store nostore is not found", 3),
        (500, "ERR_STATE_STORE_NOT_CONFIGURED", "state store is not configured", 3),
        (500, "ERR_DIRECT_INVOKE", "id: shop, err: connection refused", 1),
    ],
)
def test_what_is_not_there_has_one_exit_code(
    status: int, code: str, message: str, meant: int
) -> None:
    """An app, a component, a store: whichever way the sidecar says it."""
    body = msgspec.json.encode({"errorCode": code, "message": message})
    assert refusal(HttpResponse(status, (), body)).code == meant


def test_a_port_without_sidecar_is_named(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The port and the reason."""
    assert code_of("publish", "pubsub", "a", "1", "--dapr-http-port", "1") == 4
    assert "no sidecar answers on port 1: Connection refused" in capfd.readouterr().err


def test_the_token_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sidecar that was started elsewhere is called with DAPR_API_TOKEN."""
    monkeypatch.setenv("DAPR_API_TOKEN", "t")
    assert find(3500, Path("nowhere")).token == "t"


@pytest.mark.parametrize(
    ("text", "kind"),
    [('{"a": 1}', "application/json"), ("5", "application/json"), ("hello", "text/plain")],
)
def test_what_is_json_is_sent_as_json(text: str, kind: str) -> None:
    """Everything else is text."""
    assert content_type(text).startswith(kind)


@pytest.mark.row("FC-12", "S-24")
def test_control_characters_of_others_are_neutralised() -> None:
    """FC-12: a log line cannot move the cursor."""
    assert printable("a\x1b[2Jb\nc") == "a\N{REPLACEMENT CHARACTER}[2Jb\nc"
