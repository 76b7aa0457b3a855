from pathlib import Path

import pytest
import yaml

from daprflow.launcher.exits import LaunchError
from daprflow.manifests import components, kubernetes
from daprflow.manifests.collect import Place, Wanted, collect
from daprflow.manifests.facts import Source
from daprflow.manifests.model import Model
from daprflow.manifests.settings import read_settings
from daprflow.manifests.template import places_of
from tests.helpers.manifest_checks import check_dapr

APP = """
import os
from daprflow import DaprFlow
from daprflow.components import RedisPubSub, RedisState

print("noise of the app")
app = DaprFlow(os.environ.get("GIVEN_ID", "{app_id}"))

@app.topic("broker", "orders")
async def on_order(event: dict[str, int]) -> None: ...

@app.cron("tick", "@every 1m")
async def tick() -> None: ...

app.component(RedisPubSub("broker", redis_host="{host}:6379"), env="prod")
"""
STORE = """
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {{name: store}}
spec:
  type: state.etcd
  version: v2
  metadata: [{{name: endpoints, value: "etcd:2379"}}, {{name: secretKey, value: "{secret}"}}]
scopes: [{scopes}]
"""
ACTORS = """
from daprflow import Actor, DaprFlow

app = DaprFlow("carts")

@app.actor
class CartActor(Actor[None]):
    async def add(self, sku: str) -> None: ...
"""


def written(folder: Path, app_id: str = "shop", host: str = "redis", text: str = APP) -> Path:
    """Write an app into a folder of its own."""
    folder.mkdir(exist_ok=True)
    (folder / "app.py").write_text(text.format(app_id=app_id, host=host) if text is APP else text)
    return folder


def collected(*folders: Path, env: str = "prod") -> Model:
    """Collect apps, each in its own process."""
    places = tuple(Place(Source(".", folder)) for folder in folders)
    return collect(Wanted(places, env, apart=True), read_settings(folders[0].parent))


VAULT = """
from daprflow import DaprFlow
from daprflow.components import Caller, HashicorpVault, PostgresState, secret

app = DaprFlow("shop")
vault = {"vault_addr": "https://vault:8200", "vault_token_mount_path": "/token"}
app.component(HashicorpVault("vault", **vault{limit}))
app.component(
    PostgresState("store", connection_string=secret("vault", "db", "dsn"), scopes=("shop", "bill"))
)
app.access_policy(Caller("bill"), Caller("ops", namespace="ops"))
"""


def test_apps_of_one_module_name_are_collected_together(tmp_path: Path) -> None:
    """Two modules called ``app`` are two apps; what both declare is one component for both."""
    found = collected(written(tmp_path / "b", "shop"), written(tmp_path / "a", "billing"))
    assert [each.app_id for each in found.apps] == ["billing", "shop"]
    assert {each.name: each.scopes for each in found.components} == {
        "broker": ("billing", "shop"),
        "tick": ("billing", "shop"),
    }
    paths = [file.path for file in kubernetes.files(found)]
    assert paths.count("component/broker.yaml") == 1
    assert "apps/billing/deployment.yaml" in paths


def test_components_of_one_name_that_differ_are_refused(tmp_path: Path) -> None:
    """A namespace holds one component of a name, so both places are named."""
    one, two = written(tmp_path / "a", "a"), written(tmp_path / "b", "b", "other")
    with pytest.raises(LaunchError, match=r"component 'broker' of app 'b' differs.*app:\d+"):
        collected(one, two)


def test_two_apps_of_one_id_are_refused(tmp_path: Path) -> None:
    """Both targets are named."""
    with pytest.raises(LaunchError, match="are both app 'shop'"):
        collected(written(tmp_path / "a"), written(tmp_path / "b"))


def test_files_go_before_code_and_keep_their_scopes(tmp_path: Path) -> None:
    """A component that only a real runtime has is taken; its own scopes stay beside the app's."""
    folder = written(tmp_path / "a")
    (folder / "resources").mkdir()
    file = folder / "resources" / "store.yaml"
    file.write_text(STORE.format(secret="", scopes="shop, other"))
    (folder / "resources" / "broker.yaml").write_text(
        STORE.format(secret="", scopes="shop").replace("name: store", "name: broker")
    )
    found = {each.name: each for each in collected(folder).components}
    assert found["store"].scopes == ("other", "shop")
    assert found["broker"].type == "state.etcd"
    file.write_text(STORE.format(secret="", scopes="somebody"))
    assert "store" not in {each.name for each in collected(folder).components}


def test_a_secret_in_a_file_is_refused(tmp_path: Path) -> None:
    """The line has file, entry and component, and not the secret."""
    folder = written(tmp_path / "a")
    (folder / "components").mkdir()
    (folder / "components" / "s.yaml").write_text(STORE.format(secret="canary-1", scopes="shop"))
    with pytest.raises(LaunchError, match=r"s\.yaml:3: 'secretKey' of component 'store'") as found:
        collected(folder)
    assert "canary" not in str(found.value)


POLICY = """
apiVersion: dapr.io/v1alpha1
kind: WorkflowAccessPolicy
metadata: {name: who-may-start}
spec:
  rules:
  - callers: [{appID: checkout}]
    workflows: [{name: "*", operations: [schedule]}]
"""
SERVER = """
apiVersion: dapr.io/v1alpha1
kind: MCPServer
metadata: {name: tools}
spec:
  endpoint:
    streamableHTTP:
      url: https://tools.example.org
      headers: [{name: Authorization, value: canary-2}]
"""


def test_kinds_that_the_embedded_sidecar_does_not_read_are_handed_on(tmp_path: Path) -> None:
    """A policy for workflows protects a cluster, too; a secret in such a document is refused."""
    folder = written(tmp_path / "a")
    (folder / "resources").mkdir()
    (folder / "resources" / "policy.yaml").write_text(POLICY)
    (file,) = (
        each
        for each in kubernetes.files(collected(folder))
        if each.path == "workflowaccesspolicy/who-may-start.yaml"
    )
    tree = yaml.safe_load(file.text)
    check_dapr(tree)
    assert tree["spec"]["rules"][0]["callers"] == [{"appID": "checkout"}]
    assert tree["scopes"] == ["shop"]
    (folder / "resources" / "server.yaml").write_text(SERVER)
    with pytest.raises(LaunchError, match="'Authorization' of MCPServer 'tools'") as found:
        collected(folder)
    assert "canary" not in str(found.value)


def test_the_environment_chooses_components(tmp_path: Path) -> None:
    """What is declared for another environment is not there, and its lack is said."""
    found = collected(written(tmp_path / "a"), env="staging")
    assert [each.name for each in found.components] == ["tick"]
    assert any("component 'broker', which is declared for 'prod' only" in n for n in found.notes)
    assert not any("has a topic of component 'broker'" in note for note in found.notes)


def test_who_sees_a_component_sees_its_secret_store(tmp_path: Path) -> None:
    """Else its sidecar would not start; a store that names its own apps is left to them."""
    found = collected(written(tmp_path / "a", text=VAULT.replace("{limit}", "")))
    assert {each.name: each.scopes for each in found.components} == {
        "store": ("bill", "shop"),
        "vault": ("bill", "shop"),
    }
    limited = VAULT.replace("{limit}", ", scopes=('shop',)")
    found = collected(written(tmp_path / "b", text=limited))
    assert {each.name: each.scopes for each in found.components}["vault"] == ("shop",)
    (note,) = (each for each in found.notes if "vault" in each and "bill" in each)
    assert note.startswith("component 'store' is for 'bill', and its secret store 'vault' is not")


def test_crons_of_several_replicas_are_noted(tmp_path: Path) -> None:
    """Every sidecar keeps its own time; one replica alone has nothing to be told."""
    shop = written(tmp_path / "a")
    said = "cron 'tick' of app 'shop' runs in each replica"
    assert [note for note in collected(shop).notes if note.startswith(said)]
    (tmp_path / "daprflow.toml").write_text("[manifests]\nreplicas = 1\n")
    assert not [note for note in collected(shop).notes if note.startswith(said)]


def test_callers_are_in_the_namespace_of_the_app(tmp_path: Path) -> None:
    """That of the settings, where an access policy names none."""
    (tmp_path / "daprflow.toml").write_text('[manifests]\nnamespace = "prod"\n')
    found = collected(written(tmp_path / "a", text=VAULT.replace("{limit}", "")))
    policies = found.apps[0].configuration["accessControl"]["policies"]
    assert [each["namespace"] for each in policies] == ["prod", "ops"]


def test_a_component_that_nobody_defines_is_said(tmp_path: Path) -> None:
    """A platform may have it in the cluster already; else the topic would be without a broker."""
    text = APP.format(app_id="shop", host="r").replace("app.component(", "(lambda *a, **k: None)(")
    notes = collected(written(tmp_path / "a", text=text)).notes
    (note,) = (each for each in notes if "component" in each)
    assert "'shop' has a topic of component 'broker'" in note


def test_an_app_that_fails_is_told_with_its_target(tmp_path: Path) -> None:
    """The error of another process is the error of the command."""
    folder = written(tmp_path / "a", text="raise RuntimeError('boom')\n")
    with pytest.raises(LaunchError, match=r"target '\.': .*(?s:.*)boom"):
        collected(folder)
    wrong = written(
        tmp_path / "b",
        text="from daprflow import DaprFlow\napp = DaprFlow('x')\n"
        "@app.invoke\nasync def f(a: int, *, b: frozenset[int]) -> int: ...\n",
    )
    with pytest.raises(LaunchError, match="frozenset"):
        collected(wrong)


def test_actors_refuse_more_workers(tmp_path: Path) -> None:
    """An actor lives in one process; what scales it is replicas."""
    folder = written(tmp_path / "a", text=ACTORS)
    (tmp_path / "daprflow.toml").write_text("[manifests]\nworkers = 2\n")
    with pytest.raises(LaunchError, match=r"'carts' has actors.*'replicas'"):
        collected(folder)
    (tmp_path / "daprflow.toml").write_text("[manifests]\nreplicas = 5\n")
    assert collected(folder).apps[0].facts.actors == ("CartActor",)


def test_a_template_names_apps_ids_and_variables(tmp_path: Path) -> None:
    """What ``daprflow run -f`` runs is what is deployed: ids and variables are the template's."""
    written(tmp_path / "a"), written(tmp_path / "b")
    (tmp_path / "dapr.yaml").write_text(
        "version: 1\napps:\n"
        "- {appID: one, appDirPath: a}\n"
        "- {appDirPath: b, env: {GIVEN_ID: two}}\n"
    )
    places = places_of("dapr.yaml", tmp_path)
    found = collect(Wanted(places, "prod"), read_settings(tmp_path))
    assert [each.app_id for each in found.apps] == ["b", "one"]
    (tmp_path / "dapr.yaml").write_text(
        "version: 1\napps:\n- {appID: x, appDirPath: a, command: [python, x.py]}\n"
    )
    (tmp_path / "a" / "app.py").unlink()
    with pytest.raises(LaunchError, match="app 'x' has no target"):
        places_of("dapr.yaml", tmp_path)


def test_folders_that_are_given_go_before_those_of_a_template(tmp_path: Path) -> None:
    """``--resources-path`` and ``--config`` hold for every app: a laptop's files stay there."""
    written(tmp_path / "a")
    (tmp_path / "laptop").mkdir()
    (tmp_path / "dapr.yaml").write_text(
        "version: 1\ncommon: {resourcesPath: laptop}\napps:\n- {appID: one, appDirPath: a}\n"
    )
    (own,) = places_of("dapr.yaml", tmp_path)
    assert own.folders == (tmp_path / "laptop",)
    cluster, config = Path("cluster"), Path("c.yaml")
    (given,) = places_of("dapr.yaml", tmp_path, (cluster,), (config,))
    assert (given.folders, given.config) == ((cluster,), (config,))


def test_a_configuration_is_put_together(tmp_path: Path) -> None:
    """Code, files on top, and features that the app needs; ``$NAME`` is filled in nowhere."""
    folder = written(tmp_path / "a")
    text = (folder / "app.py").read_text()
    (folder / "app.py").write_text(
        text + "\nfrom daprflow.components import Tracing\n"
        "app.sidecar_configuration(tracing=Tracing(zipkin='http://a:9411'), features={'X': True})\n"
    )
    file = tmp_path / "configuration.yaml"
    head = "apiVersion: dapr.io/v1alpha1\nkind: Configuration\nmetadata: {name: c}\nspec:\n"
    file.write_text(f"{head}  tracing: {{samplingRate: '0.5'}}\n")
    (tmp_path / "daprflow.toml").write_text('[manifests]\nconfig = ["configuration.yaml"]\n')
    (own,) = collected(folder).apps
    assert own.configuration["tracing"] == {
        "samplingRate": "0.5",
        "zipkin": {"endpointAddress": "http://a:9411"},
    }
    assert own.configuration["features"] == [{"name": "X", "enabled": True}]
    files = {each.path for each in components.files(collected(folder))}
    assert "configuration/shop.yaml" in files
    file.write_text(f"{head}  tracing: {{zipkin: {{endpointAddress: $ZIPKIN}}}}\n")
    with pytest.raises(LaunchError, match=r"configuration\.yaml:5: 'endpointAddress' uses '\$ZIP"):
        collected(folder)
