from dataclasses import replace
from typing import Any

import msgspec
import pytest
import yaml

from daprflow.launcher.exits import LaunchError
from daprflow.manifests import kubernetes
from daprflow.manifests.model import AppModel
from tests.helpers.manifest_checks import check
from tests.helpers.manifest_models import app, component, model, settings

EVERYTHING = settings(
    image="r.example/{app}:2",
    pull_policy="IfNotPresent",
    pull_secrets=["registry"],
    namespace="orders",
    port=9000,
    replicas=4,
    grace=20,
    user=2000,
    disruptions="25%",
    command=["daprflow", "serve", "{app}:app"],
    secrets=["mail"],
    labels={"team": "orders"},
    annotations={"dapr.io/log-level": "error", "example.org/x": "1"},
    node_selector={"disk": "fast"},
    variables={"A": "no", "B": {"secret": "s", "key": "k"}},
    resources={"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "2"}},
    scaling={"by": "cpu", "min": 2, "max": 9},
    sidecar={
        "config": "tracing",
        "api_logging": True,
        "api_token_secret": "api",
        "app_token_secret": "app",
        "graceful_shutdown": 40,
        "block_shutdown": "15s",
        "max_body_size": "16Mi",
        "max_concurrency": 8,
        "native": True,
    },
    network={"app_from": ["web"], "metrics_from": "monitoring", "egress": ["10.0.0.0/8:443"]},
)


def objects(own: AppModel) -> dict[str, dict[str, Any]]:
    """Return what is made for an app, by kind."""
    files = kubernetes.files(model(own))
    found = [tree for file in files for tree in yaml.safe_load_all(file.text)]
    return {tree["kind"]: tree for tree in found}


def pod(own: AppModel) -> dict[str, Any]:
    """Return the template of an app's pods."""
    template: dict[str, Any] = objects(own)["Deployment"]["spec"]["template"]
    return template


def sidecar(own: AppModel) -> dict[str, str]:
    """Return the annotations of Dapr, by what follows the prefix."""
    found = pod(own)["metadata"]["annotations"]
    return {name.removeprefix("dapr.io/"): value for name, value in found.items()}


def test_annotations_are_on_the_pods() -> None:
    """Dapr's injector looks at pods: nothing of it is on the Deployment itself."""
    found = objects(app())
    assert "annotations" not in found["Deployment"]["metadata"]
    assert sidecar(app())["enabled"] == "true"
    assert all(isinstance(value, str) for value in sidecar(app()).values())


def test_all_settings_reach_the_objects() -> None:
    """Every setting is found in what is made, and the cluster takes all of it."""
    own = app(given=EVERYTHING)
    found, template, said = objects(own), pod(own), sidecar(own)
    for tree in found.values():
        check(tree)
    container = template["spec"]["containers"][0]
    assert set(found) == {
        "Deployment", "ServiceAccount", "Role", "RoleBinding", "Service", "PodDisruptionBudget",
        "HorizontalPodAutoscaler", "NetworkPolicy",
    }  # fmt: skip
    assert all(tree["metadata"]["namespace"] == "orders" for tree in found.values())
    assert "replicas" not in found["Deployment"]["spec"]
    assert found["Role"]["rules"][0]["resourceNames"] == ["mail"]
    assert container["image"] == "r.example/shop:2"
    assert container["command"] == ["daprflow", "serve", "shop:app"]
    assert (
        said
        | {
            "config": "tracing",
            "log-level": "error",
            "enable-api-logging": "true",
            "api-token-secret": "api",
            "app-token-secret": "app",
            "graceful-shutdown-seconds": "40",
            "block-shutdown-duration": "15s",
            "max-body-size": "16Mi",
            "app-max-concurrency": "8",
            "enable-native-sidecar": "true",
            "app-port": "9000",
        }
        == said
    )
    env = {each["name"]: each for each in container["env"]}
    assert env["A"]["value"] == "no"
    assert (env["DAPRFLOW_GRACE"]["value"], env["APP_PORT"]["value"]) == ("20", "9000")
    assert env["B"]["valueFrom"]["secretKeyRef"] == {"name": "s", "key": "k"}
    assert env["APP_API_TOKEN"]["valueFrom"]["secretKeyRef"] == {"name": "app", "key": "token"}
    assert env["DAPR_API_TOKEN"]["valueFrom"]["secretKeyRef"] == {"name": "api", "key": "token"}


def test_a_pod_has_no_rights() -> None:
    """It runs as an ordinary user, on a file system that it cannot write, and gains nothing."""
    template = pod(app())["spec"]
    assert template["securityContext"]["runAsNonRoot"] is True
    assert template["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    inner = template["containers"][0]["securityContext"]
    assert inner["capabilities"] == {"drop": ["ALL"]}
    assert inner["readOnlyRootFilesystem"] is True
    assert inner["allowPrivilegeEscalation"] is False


def test_probes_ask_the_paths_of_the_app() -> None:
    """Being alive and being ready are two things; a start may take two minutes."""
    container = pod(app())["spec"]["containers"][0]
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    startup = container["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] == 120


@pytest.mark.parametrize(
    ("drain", "given", "sidecar_waits", "pod_lives"),
    [
        (0.0, {}, "11", 16),
        (2.5, {}, "14", 19),
        (0.0, {"grace": 30}, "31", 36),
        (0.0, {"variables": {"DAPRFLOW_DRAIN": "4"}}, "15", 20),
        (0.0, {"sidecar": {"graceful_shutdown": 60}}, "60", 65),
        (0.0, {"sidecar": {"block_shutdown": "1m"}}, "11", 76),
        (0.0, {"sidecar": {"native": True}}, "11", 26),
    ],
)
def test_nobody_is_killed_before_it_ended(
    drain: float, given: dict[str, Any], sidecar_waits: str, pod_lives: int
) -> None:
    """The sidecar outlasts the app, and the pod both."""
    own = app(given=settings(**given))
    own = replace(own, facts=msgspec.structs.replace(own.facts, drain=drain))
    assert sidecar(own)["graceful-shutdown-seconds"] == sidecar_waits
    assert pod(own)["spec"]["terminationGracePeriodSeconds"] == pod_lives


def test_an_app_without_a_sidecar_says_nothing_to_dapr() -> None:
    """With the sidecar off there are neither annotations nor rules for it."""
    own = app(given=settings(sidecar={"enabled": False}))
    assert pod(own)["metadata"]["annotations"] == {}
    assert objects(own)["NetworkPolicy"]["spec"]["ingress"] == []


def test_a_configuration_is_made_and_named_where_the_app_needs_one() -> None:
    """Its annotation names it; one of the settings beside it is refused."""
    own = replace(app(), configuration={"features": [{"name": "ActorStateTTL", "enabled": True}]})
    assert objects(own)["Configuration"]["spec"] == own.configuration
    assert sidecar(own)["config"] == "shop"
    both = replace(own, settings=settings(sidecar={"config": "mine"}))
    with pytest.raises(LaunchError, match=r"needs a Configuration \(features\).*'mine'"):
        kubernetes.files(model(both))


def test_the_apps_limit_for_bodies_is_the_sidecars() -> None:
    """A sidecar that takes less than its app would refuse what the app allows."""
    own = app()
    for size, said in ((4 << 20, None), (16 << 20, "16Mi"), (1000, "1000")):
        bigger = replace(own, facts=msgspec.structs.replace(own.facts, max_body_size=size))
        assert sidecar(bigger).get("max-body-size") == said


def test_shared_resources_are_in_the_namespace_of_their_apps() -> None:
    """Apps see the resources of their own namespace alone, so apps of two are refused together."""
    one, two = (app(name, given=settings(namespace=space)) for name, space in ("ax", "by"))
    with pytest.raises(LaunchError, match="namespaces 'x', 'y'"):
        kubernetes.files(model(one, two))
    (store,) = (
        yaml.safe_load(file.text)
        for file in kubernetes.files(model(one, components=(component("s", "state.redis"),)))
        if file.path == "component/s.yaml"
    )
    assert store["metadata"] == {"name": "s", "namespace": "x"}


def test_a_wrong_duration_is_told() -> None:
    """A setting that Dapr could not read is refused here."""
    with pytest.raises(LaunchError, match=r"block_shutdown.*'shop'"):
        kubernetes.files(model(app(given=settings(sidecar={"block_shutdown": "soon"}))))
    with pytest.raises(LaunchError, match=r"'shop'.*DAPRFLOW_DRAIN"):
        kubernetes.files(model(app(given=settings(variables={"DAPRFLOW_DRAIN": "soon"}))))
