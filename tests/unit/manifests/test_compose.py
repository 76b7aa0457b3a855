import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
import yaml

from daprflow.launcher.report import HandlerRow
from daprflow.manifests.annotations import PREFIX, annotations_of
from daprflow.manifests.compose import files
from daprflow.manifests.model import AppModel, Model
from daprflow.manifests.runtime_words import settings_of
from daprflow.manifests.targets import notes_of
from daprflow.protocol.http_endpoint import ClientTls, HttpEndpointResource
from daprflow.protocol.resources import ComponentResource, MetadataItem, SecretKeyRef
from tests.golden.regenerate import FOLDER
from tests.helpers.compose_schema import SCHEMA
from tests.helpers.manifest_models import app, component, model, settings

GOLDEN = [FOLDER / name for name in ("compose", "compose-prod", "compose-several")]


def with_handlers(own: AppModel, *rows: tuple[str, str]) -> AppModel:
    """Return an app with handlers, each as kind and name."""
    handlers = tuple(HandlerRow(kind, name, "/", "f", "app:1") for kind, name in rows)
    return replace(own, facts=msgspec.structs.replace(own.facts, handlers=handlers))


def made(given: Model) -> dict[str, str]:
    """Return the files by their paths."""
    return {file.path: file.text for file in files(given)}


def services(given: Model) -> dict[str, Any]:
    """Return the services."""
    found: dict[str, Any] = yaml.safe_load(made(given)["compose.yaml"])["services"]
    return found


def resource(given: Model, name: str) -> dict[str, Any]:
    """Return what stands in a component's file: its type and its metadata."""
    spec = yaml.safe_load(made(given)[f"resources/component-{name}.yaml"])["spec"]
    metadata = {each["name"]: each.get("value", each.get("envRef")) for each in spec["metadata"]}
    return {"type": spec["type"], **metadata}


@pytest.mark.parametrize("folder", GOLDEN, ids=str)
def test_a_compose_file_is_one(folder: Path) -> None:
    """Each member is one of the specification, and holds what it may hold."""
    jsonschema.validate(yaml.safe_load((folder / "compose.yaml").read_text()), SCHEMA)


@pytest.mark.parametrize("folder", GOLDEN, ids=str)
def test_what_a_compose_file_names_is_there(folder: Path) -> None:
    """Services that are waited for or shared, volumes, mounted folders and Dockerfiles exist."""
    found = yaml.safe_load((folder / "compose.yaml").read_text())
    known = found["services"].keys()
    for service in found["services"].values():
        assert service.get("depends_on", {}).keys() <= known
        assert service.get("network_mode", "service:redis").removeprefix("service:") in known | {
            "redis"
        }
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            assert source in found["volumes"] or (folder / source).exists()
        if "build" in service:
            assert (folder / Path(service["build"]["dockerfile"]).name).is_file()


@pytest.mark.parametrize("folder", GOLDEN, ids=str)
def test_docker_compose_reads_it(folder: Path) -> None:
    """``docker compose config`` finds nothing wrong, with every variable set."""
    docker = shutil.which("docker")
    if (
        docker is None
        or subprocess.run(
            [docker, "compose", "version"], capture_output=True, check=False, timeout=30
        ).returncode
    ):
        pytest.skip("docker compose is not installed")
    text = (folder / "compose.yaml").read_text()
    variables = dict.fromkeys(re.findall(r"\$\{(\w+):", text), "x")
    done = subprocess.run(
        [docker, "compose", "-f", str(folder / "compose.yaml"), "config", "--quiet"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), **variables},
    )
    assert done.returncode == 0, done.stderr


def test_a_sidecar_shares_the_network_of_its_app() -> None:
    """Its API is on loopback there, it is watched, and it goes where the app goes."""
    sidecar = services(model(app()))["shop-dapr"]
    assert sidecar["network_mode"] == "service:shop"
    assert "--dapr-listen-addresses=127.0.0.1" in sidecar["command"]
    assert sidecar["healthcheck"]["test"] == ["CMD", "/daprd", "--wait", "--dapr-http-port=3500"]
    assert sidecar["depends_on"]["shop"] == {"condition": "service_started", "restart": True}


def test_a_sidecar_is_told_what_one_in_a_pod_is_told() -> None:
    """Every annotation that a runtime has a flag for is one; all others are about the pod."""
    own = app(
        given=settings(
            sidecar={"max_concurrency": 3, "max_body_size": "16Mi", "block_shutdown": "5s"},
            annotations={"dapr.io/read-buffer-size": "8Ki", "dapr.io/enable-profiling": "true"},
        )
    )
    told = settings_of(own)
    assert told["dapr-graceful-shutdown-seconds"] == "11"
    assert told["dapr-block-shutdown-duration"] == "5s"
    assert (told["max-body-size"], told["read-buffer-size"]) == ("16Mi", "8Ki")
    names = {name.removeprefix(PREFIX) for name in annotations_of(own)}
    left = names - {name.removeprefix("dapr-") for name in told}
    assert {name for name in left if not name.startswith("sidecar-")} == {"enabled"}


def test_apps_are_published_on_ports_of_their_own() -> None:
    """On this machine alone; inside, each has the port that it has anywhere."""
    found = services(model(app("a"), app("b"), app("c", given=settings(port=9000))))
    ports = [found[name]["ports"] for name in "abc"]
    assert ports == [["127.0.0.1:8000:8000"], ["127.0.0.1:8001:8000"], ["127.0.0.1:9000:9000"]]


def test_services_of_dapr_make_way_for_apps() -> None:
    """An app may be called 'scheduler' or 'redis'."""
    found = services(model(app("redis"), app("scheduler")))
    assert found["redis"]["image"] == "redis:latest"
    assert "--scheduler-host-address=scheduler-server:50006" in found["redis-dapr"]["command"]
    assert found["redis-server"]["healthcheck"]["test"] == ["CMD", "redis-cli", "ping"]


def test_a_redis_of_this_machine_is_the_one_of_the_network() -> None:
    """Its host is another then, and there is no password; other settings stay."""
    given = model(
        app(),
        components=(
            component(
                "pubsub",
                "pubsub.redis",
                redisHost="localhost:6379",
                redisPassword=SecretKeyRef("redis", "password"),
                concurrency="5",
            ),
            component("statestore", "state.redis", redisHost="cache.example:6379"),
        ),
    )
    assert resource(given, "pubsub") == {
        "type": "pubsub.redis",
        "redisHost": "redis:6379",
        "concurrency": "5",
    }
    assert resource(given, "statestore")["redisHost"] == "cache.example:6379"
    assert "redis" in services(given)


def test_other_servers_of_this_machine_are_outside_of_the_network() -> None:
    """A container reaches the machine by a name that its app's network knows."""
    given = model(
        app(),
        components=(
            component("pubsub", "pubsub.kafka", brokers="localhost:9092,127.0.0.1:9093"),
            component("statestore", "state.mongodb", host="my-localhost.example:27017"),
        ),
    )
    found = resource(given, "pubsub")
    assert found["brokers"] == "host.docker.internal:9092,host.docker.internal:9093"
    assert resource(given, "statestore")["host"] == "my-localhost.example:27017"
    known = services(given)
    assert known["shop"]["extra_hosts"] == ["host.docker.internal:host-gateway"]
    assert "redis" not in known


def test_a_configuration_names_the_machine_as_containers_do() -> None:
    """A collector on this machine is found from the network."""
    tracing = {"tracing": {"zipkin": {"endpointAddress": "http://localhost:9411/api/v2/spans"}}}
    given = model(replace(app(), configuration=tracing))
    text = made(given)["configuration/shop.yaml"]
    assert "http://host.docker.internal:9411/api/v2/spans" in text
    found = services(given)
    assert "extra_hosts" in found["shop"]
    assert "--config=/configuration.yaml" in found["shop-dapr"]["command"]


def test_an_endpoint_of_this_machine_is_outside_of_the_network() -> None:
    """Its URL names the machine as containers do, and its secret is a variable."""
    header = MetadataItem("X-Key", secret_key_ref=SecretKeyRef("bank", "key"))
    key = MetadataItem("", secret_key_ref=SecretKeyRef("bank", "tls"))
    bank = HttpEndpointResource(
        "bank", "http://localhost:9000/v1", (header,), ClientTls(private_key=key)
    )
    given = replace(model(app()), http_endpoints=(bank,))
    tree = yaml.safe_load(made(given)["resources/http-endpoint-bank.yaml"])
    (said,) = notes_of("compose", given)
    assert said.startswith("endpoint 'bank' shows a certificate")
    assert tree["spec"]["baseUrl"] == "http://host.docker.internal:9000/v1"
    assert tree["spec"]["headers"] == [{"name": "X-Key", "envRef": "BANK_KEY"}]
    assert "auth" not in tree


@pytest.mark.parametrize("kind", ["state.sqlite", "state.in-memory"])
def test_a_store_of_one_process_is_in_redis(kind: str) -> None:
    """Replicas and other apps see it; what it is for stays, where it lay does not."""
    given = model(
        app(),
        components=(
            component("store", kind, connectionString="/tmp/x.db", actorStateStore="true"),  # noqa: S108 - a value that is dropped
            component("pubsub", "pubsub.daprflow"),
        ),
    )
    assert resource(given, "store") == {
        "type": "state.redis",
        "redisHost": "redis:6379",
        "actorStateStore": "true",
    }
    assert resource(given, "pubsub")["type"] == "pubsub.redis"
    assert (
        f"# Note: component 'store' is 'state.redis' here, not '{kind}'"
        in (made(given)["compose.yaml"])
    )


def test_what_handlers_need_and_nobody_defines_is_in_redis() -> None:
    """As a run of ours would have it: topics, configuration, and a store for everything else."""
    own = with_handlers(app(), ("topic", "events/orders"), ("configuration", "settings/limit"))
    given = model(own)
    assert resource(given, "events")["type"] == "pubsub.redis"
    assert resource(given, "settings")["type"] == "configuration.redis"
    assert resource(given, "statestore")["actorStateStore"] == "true"


def test_secrets_of_a_cluster_are_variables() -> None:
    """Whoever starts it has the values; the files name the variables and nothing else."""
    own = app(
        given=settings(
            sidecar={"app_token_secret": "tokens"},
            variables={"DSN": {"secret": "db", "key": "dsn"}, "PRICE": "$5"},
        )
    )
    given = model(
        own,
        components=(
            component("pubsub", "pubsub.kafka", saslPassword=SecretKeyRef("kafka", "password")),
            component("dapr", "state.x", password=SecretKeyRef("dapr-x")),
        ),
    )
    assert resource(given, "pubsub")["saslPassword"] == "KAFKA_PASSWORD"
    assert resource(given, "dapr")["password"] == "SECRET_DAPR_X"
    found = services(given)
    assert found["shop-dapr"]["environment"] == {
        name: f"${{{name}:?set it in .env}}"
        for name in ("APP_API_TOKEN", "KAFKA_PASSWORD", "SECRET_DAPR_X")
    }
    assert found["shop"]["environment"]["PRICE"] == "$$5"
    assert found["shop"]["environment"]["DSN"] == "${DSN:?set it in .env}"
    example = made(given)[".env.example"].splitlines()[1:]
    assert example == ["APP_API_TOKEN=", "DSN=", "KAFKA_PASSWORD=", "SECRET_DAPR_X="]


def test_secret_stores_of_a_developer_are_the_environment() -> None:
    """A store that others may reach stays what it is."""
    given = model(
        app(),
        components=(
            component("files", "secretstores.local.file", secretsFile="secrets.json"),
            component("vault", "secretstores.hashicorp.vault", vaultAddr="https://vault:8200"),
        ),
    )
    assert resource(given, "files") == {"type": "secretstores.local.env"}
    assert resource(given, "vault")["type"] == "secretstores.hashicorp.vault"


def test_references_to_a_real_store_stay() -> None:
    """The sidecar looks them up there, as in a cluster."""
    reference = component("db", "state.postgresql", connectionString=SecretKeyRef("db", "dsn"))
    vault = component("vault", "secretstores.hashicorp.vault")
    given = model(
        app(), components=(msgspec.structs.replace(reference, secret_store="vault"), vault)
    )
    tree = yaml.safe_load(made(given)["resources/component-db.yaml"])
    assert tree["auth"] == {"secretStore": "vault"}
    (item,) = tree["spec"]["metadata"]
    assert item["secretKeyRef"] == {"name": "db", "key": "dsn"}


def test_an_app_without_a_sidecar_has_none() -> None:
    """Its container stands alone."""
    found = services(model(app(given=settings(sidecar={"enabled": False}, command=["run", "me"]))))
    assert "shop-dapr" not in found
    assert found["shop"]["entrypoint"] == ["run", "me"]


def test_declared_components_count_before_those_of_a_cluster() -> None:
    """What was put in a cluster's place of a developer's store is not what containers get."""
    local = ComponentResource("secrets", "secretstores.local.file", source="here:1")
    given = replace(model(app()), declared=(local,))
    assert resource(given, "secrets")["type"] == "secretstores.local.env"


def test_notes_are_about_the_target() -> None:
    """What only a cluster lacks is not said of containers; what is another there is."""
    given = replace(
        model(app(), components=(component("store", "state.sqlite"),)), notes=("of a cluster",)
    )
    assert notes_of("kubernetes", given) == ("of a cluster",)
    (said,) = notes_of("compose", given)
    assert said.startswith("component 'store' is 'state.redis' here")
    assert [notes_of(target, given) for target in ("dapr-run", "docker", "dev")] == [(), (), ()]
