"""Resources of a run that names none, the app's environment, and reports."""

import json
from pathlib import Path

from daprflow.launcher import defaults
from daprflow.launcher.app_process import Surroundings, environment
from daprflow.launcher.daprd import document
from daprflow.launcher.options import Tokens
from daprflow.launcher.report import AppFailed, AppFrozen, Cron, HandlerRow, Reporter, decode

BUILT_IN = {
    "pubsub": "pubsub.daprflow",
    "configstore": "configuration.daprflow",
    "lockstore": "lock.daprflow",
}


def test_the_durable_defaults_have_the_usual_names(tmp_path: Path) -> None:
    """``statestore``, ``pubsub`` and the others, as Dapr's own examples name them."""
    made = {c.name: c.type for c in defaults.durable(tmp_path / "state.db")}
    assert made == {"statestore": "state.sqlite", **BUILT_IN}


def test_ephemeral_defaults_need_no_file() -> None:
    """In memory there is the same."""
    made = {c.name: c.type for c in defaults.durable(None)}
    assert made == {"statestore": "state.in-memory", **BUILT_IN}


def test_stores_that_handlers_follow_are_made_once() -> None:
    """Each configuration store that a handler names is there, unless it is already."""
    rows = [
        HandlerRow("configuration", f"{name}/key", "/", "f", "m:1")
        for name in ("settings", "settings", "configstore")
    ]
    rows.append(HandlerRow("topic", "pubsub/orders", "/", "f", "m:1"))
    made = defaults.configuration_stores(rows, defaults.durable(None))
    assert [(c.name, c.type) for c in made] == [("settings", "configuration.daprflow")]


def test_a_cron_the_user_configured_is_not_made_again() -> None:
    """A resource file of that name wins over the decorator's schedule."""
    first = defaults.crons([Cron("tick", "@every 1s")], ())
    assert [c.type for c in first] == ["bindings.cron"]
    assert defaults.crons([Cron("tick", "@every 1h")], first) == ()


def test_resource_folders_are_those_named_or_those_beside(tmp_path: Path) -> None:
    """``resources/`` goes before ``components/``; naming one turns looking off."""
    assert defaults.folders((), str(tmp_path)) == ()
    (tmp_path / "components").mkdir()
    assert defaults.folders((), str(tmp_path)) == (tmp_path / "components",)
    (tmp_path / "resources").mkdir()
    assert defaults.folders((), str(tmp_path)) == (tmp_path / "resources",)
    assert defaults.folders((tmp_path,), str(tmp_path)) == (tmp_path,)


def test_a_generated_document_is_what_a_runtime_reads() -> None:
    """JSON is YAML, so a real runtime takes it."""
    (component,) = defaults.crons([Cron("tick", "@every 1s")], ())
    made = json.loads(document(component))
    assert made["apiVersion"] == "dapr.io/v1alpha1"
    assert made["metadata"] == {"name": "tick"}
    assert {"name": "schedule", "value": "@every 1s"} in made["spec"]["metadata"]


def around(**changes: object) -> Surroundings:
    values: dict[str, object] = {
        "app_id": None,
        "app_port": None,
        "app_protocol": "http",
        "app_channel_address": "127.0.0.1",
        "http_port": 3500,
        "grpc_port": None,
        "tokens": Tokens(),
    }
    return Surroundings(**{**values, **changes})  # type: ignore[arg-type]


def test_unknown_numbers_are_left_out_of_the_environment() -> None:
    """As under ``dapr run``: no APP_PORT without a port."""
    made = environment({"PATH": "x"}, around())
    assert made == {
        "PATH": "x",
        "APP_PROTOCOL": "http",
        "APP_CHANNEL_ADDRESS": "127.0.0.1",
        "DAPR_HTTP_PORT": "3500",
    }


def test_another_runs_sidecar_is_not_inherited() -> None:
    """An app started from an app's shell finds its own sidecar."""
    base = {"DAPR_HTTP_ENDPOINT": "http://elsewhere", "DAPR_HTTP_PORT": "1"}
    made = environment(base, around(grpc_port=50001, tokens=Tokens("a", "b")))
    assert "DAPR_HTTP_ENDPOINT" not in made
    assert (made["DAPR_HTTP_PORT"], made["DAPR_GRPC_PORT"]) == ("3500", "50001")
    assert (made["DAPR_API_TOKEN"], made["APP_API_TOKEN"]) == ("a", "b")


def test_a_real_runtimes_ports_are_those_of_this_run() -> None:
    """All three ports ``dapr run`` names are set, whatever the shell has."""
    base = {"DAPR_METRICS_PORT": "1"}
    assert "DAPR_METRICS_PORT" not in environment(base, around())
    assert environment(base, around(metrics_port=9090))["DAPR_METRICS_PORT"] == "9090"


def test_a_sidecar_elsewhere_is_left_to_the_environment() -> None:
    """With ``--sidecar none`` nothing of what leads to it is dropped or replaced."""
    base = {"DAPR_HTTP_ENDPOINT": "http://elsewhere", "DAPR_HTTP_PORT": "1", "DAPR_GRPC_PORT": "2"}
    made = environment(base, around(http_port=None, foreign=True))
    assert made == {**base, "APP_PROTOCOL": "http", "APP_CHANNEL_ADDRESS": "127.0.0.1"}
    assert environment(base, around(http_port=5, foreign=True))["DAPR_HTTP_PORT"] == "5"


def test_reports_survive_the_pipe(tmp_path: Path) -> None:
    """What the app's process writes is what the supervisor reads."""
    with (tmp_path / "pipe").open("wb") as file:
        reporter = Reporter(file.fileno())
        frozen = AppFrozen("shop", "/x", crons=(Cron("a", "@daily"),))
        reporter.send(frozen)
        reporter.send(AppFailed("no"))
    lines = (tmp_path / "pipe").read_bytes().splitlines()
    assert [decode(line) for line in lines] == [frozen, AppFailed("no")]


def test_without_a_supervisor_reports_go_nowhere() -> None:
    """``daprflow serve`` has nobody to tell."""
    Reporter(None).send(AppFailed("no"))
