import os
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import yaml

from daprflow.launcher.run_file import read_template
from daprflow.manifests.dapr_run import files, run_file
from daprflow.manifests.model import AppModel, Model
from daprflow.protocol.resources import SecretKeyRef
from tests.golden.regenerate import EXAMPLES, FOLDER, model_of
from tests.helpers.manifest_models import app, component, model, settings

SEVERAL = ("actors", "declarative", "pubsub", "workflows")


def at(root: str, own: AppModel) -> AppModel:
    """Return an app that lies in a folder."""
    return replace(own, facts=msgspec.structs.replace(own.facts, root=root))


def written(given: Model, folder: Path) -> Path:
    """Write the files into a folder."""
    for file in files(given):
        target = folder / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(file.text)
    return folder


def test_a_template_is_read_as_it_was_meant(tmp_path: Path) -> None:
    """What is written is what a run of ours reads, field by field."""
    output = EXAMPLES / SEVERAL[0] / "deploy"
    given = replace(model_of(SEVERAL, "prod"), output=output)
    template = read_template(".", written(given, tmp_path))
    assert template.document == run_file(given)
    assert [each.app_id for each in template.document.apps] == [
        f"{name}-example" for name in SEVERAL
    ]


def test_paths_lead_from_the_template_to_the_apps() -> None:
    """The folder of an app is told from the template, and its Configuration from its folder."""
    first = replace(at("/srv/shop/src", app("a")), configuration={"tracing": {}})
    given = replace(model(first, at("/srv/deploy/run", app("b"))), output=Path("/srv/deploy/run"))
    one, other = run_file(given).apps
    assert (one.app_dir_path, other.app_dir_path) == ("../../shop/src", ".")
    assert one.config_file_path == "../../deploy/run/configuration/a.yaml"
    assert other.config_file_path == ""


def test_apps_are_served_on_ports_of_their_own() -> None:
    """One machine runs them all: a port that is taken is the next one."""
    one, other = run_file(model(app("a"), app("b"))).apps
    assert (one.app_port, other.app_port) == (8000, 8001)
    assert other.command == ("daprflow", "serve", "app", "--port", "8001", "--log-level", "info")


def test_settings_of_sidecars_are_in_the_template() -> None:
    """Those that a template has a field for, by the names of Dapr; no secret is among them."""
    own = app(
        given=settings(
            sidecar={"max_body_size": "16Mi", "max_concurrency": 4, "api_logging": True},
            variables={"GREETING": "hello", "DSN": {"secret": "db", "key": "dsn"}},
        )
    )
    (file, *_) = files(model(own))
    (found,) = yaml.safe_load(file.text)["apps"]
    assert list(found)[:4] == ["appID", "appDirPath", "appPort", "command"]
    assert (found["maxBodySize"], found["appMaxConcurrency"]) == ("16Mi", 4)
    assert found["enableApiLogging"] is True
    assert found["enableAppHealthCheck"] is True
    assert found["env"] == {"GREETING": "hello"}


def test_a_health_check_that_is_off_is_not_described() -> None:
    """A path alone would say something that does not count."""
    own = app(given=settings(sidecar={"health": {"enabled": False}}))
    (found,) = run_file(model(own)).apps
    assert not found.enable_app_health_check
    assert found.app_health_check_path == ""


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("state.daprflow", "state.redis"),
        ("state.sqlite", "state.sqlite"),
        ("state.in-memory", "state.in-memory"),
    ],
)
def test_a_real_runtime_has_every_component(kind: str, expected: str) -> None:
    """What the embedded sidecar alone has is in the Redis that ``dapr init`` starts."""
    given = model(app(), components=(component("store", kind, connectionString="x.db"),))
    by_path = {file.path: file.text for file in files(given)}
    spec = yaml.safe_load(by_path["resources/component-store.yaml"])["spec"]
    assert spec["type"] == expected
    assert ({"name": "redisHost", "value": "localhost:6379"} in spec["metadata"]) is (
        expected == "state.redis"
    )


def test_servers_of_this_machine_stay_where_they_are() -> None:
    """The apps run there; a secret of the cluster is a variable of the environment."""
    given = model(
        app(),
        components=(
            component(
                "pubsub",
                "pubsub.redis",
                redisHost="localhost:6380",
                redisPassword=SecretKeyRef("redis", "password"),
            ),
        ),
    )
    by_path = {file.path: file.text for file in files(given)}
    spec = yaml.safe_load(by_path["resources/component-pubsub.yaml"])["spec"]
    assert spec["metadata"] == [
        {"name": "redisHost", "value": "localhost:6380"},
        {"name": "redisPassword", "envRef": "REDIS_PASSWORD"},
    ]


def test_the_golden_template_names_folders_that_are_there() -> None:
    """Each app's folder exists, and so does everything that is beside the template."""
    template = read_template(".", FOLDER / "dapr-run-several")
    base = EXAMPLES / SEVERAL[0] / "deploy"
    for each in template.document.apps:
        assert Path(os.path.normpath(base / each.app_dir_path), "app.py").is_file()
    assert (template.folder / template.document.common.resources_paths[0]).is_dir()
