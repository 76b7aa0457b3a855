import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from daprflow.manifests import kubernetes
from daprflow.manifests.annotations import PREFIX, annotations_of
from daprflow.manifests.helm import differing, files
from daprflow.manifests.helm_apps import values_of
from daprflow.manifests.helm_resources import value_of
from daprflow.manifests.sidecar_annotations import ANNOTATIONS, FIXED
from daprflow.protocol.resource_trees import component_tree
from daprflow.protocol.resources import ComponentResource, MetadataItem, SecretKeyRef
from tests.golden.regenerate import FOLDER, model_of
from tests.helpers.helm import helm, laid_over, same, unbalanced
from tests.helpers.manifest_checks import check, trees
from tests.helpers.manifest_models import app, component, model, settings

CHART = FOLDER / "helm"
SEVERAL = FOLDER / "helm-several"
CHARTS = [CHART, SEVERAL]
ENVIRONMENTS = ["dev", "staging", "prod"]

tables = st.recursive(
    st.integers() | st.booleans() | st.text(max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
    max_leaves=8,
)
roots = st.dictionaries(st.sampled_from("abcd"), tables, max_size=4)


def values(chart: Path, env: str = "") -> dict[str, Any]:
    """Return a chart's values, with those of an environment over them."""
    found: dict[str, Any] = yaml.safe_load((chart / "values.yaml").read_text())
    if not env:
        return found
    return laid_over(found, yaml.safe_load((chart / f"values-{env}.yaml").read_text()))


def schema(chart: Path) -> Any:
    """Return the schema of a chart's values."""
    return json.loads((chart / "values.schema.json").read_text())


@pytest.mark.parametrize("chart", CHARTS, ids=str)
@pytest.mark.parametrize("env", ["", *ENVIRONMENTS])
def test_a_chart_takes_its_own_values(chart: Path, env: str) -> None:
    """The schema is one, and the values of every environment are what it allows."""
    found = schema(chart)
    jsonschema.Draft7Validator.check_schema(found)
    jsonschema.validate(values(chart, env), found)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("apps.orders.dapr.annotations.log-levl", "info"),
        ("apps.orders.dapr.annotations.log-level", "loud"),
        ("apps.orders.dapr.annotations.metrics-port", "http"),
        ("apps.orders.dapr.annotations.app-id", "other"),
        ("apps.orders.port", 70_000),
        ("apps.orders.replicas", -1),
        ("apps.orders.scaling.by", "moon"),
        ("apps.orders.env.TOKEN", {"secret": "tokens"}),
        ("apps.order", {}),
        ("components.broker.type", "kafka"),
        ("components.broker.metadata.password", {"secretKeyRef": {"key": "password"}}),
        ("components.broker.kind", "Component"),
        ("dapr.enabled", "yes"),
    ],
)
def test_a_mistake_in_values_is_refused(path: str, value: object) -> None:
    """What no chart of ours can mean is refused by the schema, before anything is installed."""
    found = values(CHART)
    *parents, last = path.split(".")
    table = found
    for name in parents:
        table = table[name]
    table[last] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(found, schema(CHART))


@pytest.mark.parametrize("chart", CHARTS, ids=str)
def test_every_block_of_a_template_ends(chart: Path) -> None:
    """Each ``if``, ``with``, ``range`` and ``define`` has its ``end``, in every template."""
    templates = [file for file in (chart / "templates").rglob("*") if file.is_file()]
    assert len(templates) > len(values(chart)["apps"])
    assert {str(file): unbalanced(file.read_text()) for file in templates} == {
        str(file): [] for file in templates
    }


@pytest.mark.parametrize("chart", CHARTS, ids=str)
def test_templates_use_values_that_there_are(chart: Path) -> None:
    """Every value that a template of an app names is there without any file of values."""
    for app_id, own in values(chart)["apps"].items():
        for file in (chart / "templates" / app_id).glob("*.yaml"):
            for path in re.findall(r"\$app((?:\.\w+)+)", file.read_text()):
                table: Any = own
                for name in path.strip(".").split("."):
                    assert name in table, f"{file.name}: {path}"
                    table = table[name]


def test_every_annotation_that_we_make_is_known() -> None:
    """A chart has a place for each setting of a sidecar that a pod is given."""
    sidecar = {
        "native": True,
        "api-logging": True,
        "max-concurrency": 3,
        "max-body-size": "16Mi",
        "block-shutdown": "5s",
        "config": "common",
        "api-token-secret": "a",
        "app-token-secret": "b",
    }
    own = app(given=settings(sidecar={k.replace("-", "_"): v for k, v in sidecar.items()}))
    names = {name.removeprefix(PREFIX) for name in annotations_of(own)}
    assert len(names) > len(sidecar)
    assert names <= ANNOTATIONS.keys() | FIXED


def test_annotations_of_users_are_values_too() -> None:
    """Those of Dapr are settings of the sidecar, all others annotations of the pod."""
    given_ = {"dapr.io/env": "A=1", "team": "blue"}
    own = app(given=settings(annotations=given_))
    deployment = next(trees(f.text for f in kubernetes.files(model(own))))
    found = values_of(own, [deployment], model(own))
    assert found["dapr"]["annotations"]["env"] == "A=1"
    assert found["podAnnotations"] == {"team": "blue"}


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("shop", ("shop", "", "")),
        ("shop:1.2", ("shop", "1.2", "")),
        ("registry.example:5000/shop", ("registry.example:5000/shop", "", "")),
        ("registry.example:5000/shop:1", ("registry.example:5000/shop", "1", "")),
        ("team/shop:1@sha256:ab", ("team/shop", "1", "sha256:ab")),
    ],
)
def test_an_image_is_taken_apart(image: str, expected: tuple[str, str, str]) -> None:
    """Repository, tag and digest are values of their own; a registry's port is no tag."""
    own = app(given=settings(image=image))
    (values_file,) = (f for f in files(model(own)) if f.path == "values.yaml")
    found = yaml.safe_load(values_file.text)["apps"]["shop"]["image"]
    assert (found["repository"], found["tag"], found["digest"]) == expected


def test_a_component_is_a_value() -> None:
    """Type, version, metadata by name, references to secrets and scopes can each be another."""
    found = value_of(
        component_tree(
            ComponentResource(
                "store",
                "state.redis",
                metadata=(
                    MetadataItem("redisHost", "redis:6379"),
                    MetadataItem("redisPassword", secret_key_ref=SecretKeyRef("redis", "password")),
                    MetadataItem("redisDB", env_ref="DB"),
                ),
                scopes=("shop",),
                secret_store="vault",
                ignore_errors=True,
                init_timeout=30.0,
            )
        )
    )
    assert found == {
        "enabled": True,
        "type": "state.redis",
        "version": "v1",
        "ignoreErrors": True,
        "initTimeout": "30s",
        "metadata": {
            "redisHost": "redis:6379",
            "redisPassword": {"secretKeyRef": {"name": "redis", "key": "password"}},
            "redisDB": {"envRef": "DB"},
        },
        "secretStore": "vault",
        "scopes": ["shop"],
    }


def test_nothing_of_a_component_is_left_out_unsaid() -> None:
    """A member that the chart's template would not render is refused when the chart is made."""
    tree = dict(component_tree(component("store", "state.redis")))
    tree["spec"] = {**tree["spec"], "more": 1}
    with pytest.raises(ValueError, match="no place for more"):
        value_of(tree)


@given(roots, roots)
def test_what_differs_makes_one_of_the_other(base: Any, other: Any) -> None:
    """Laid over the values that it was found with, it gives the others, whatever they are."""
    assert laid_over(base, differing(base, other)) == other


def test_no_value_of_a_chart_is_a_secret() -> None:
    """Where a secret is needed, the values have a reference to it."""
    text = (CHART / "values.yaml").read_text()
    assert "saslPassword:\n        secretKeyRef:" in text
    assert values(CHART)["apps"]["orders"]["env"]["MAIL_PASSWORD"] == {
        "secret": "mail",
        "key": "password",
    }


@pytest.mark.parametrize("chart", CHARTS, ids=str)
@pytest.mark.parametrize("env", ["", *ENVIRONMENTS])
def test_helm_finds_nothing_wrong(chart: Path, env: str) -> None:
    """``helm lint`` passes, with the values of each environment."""
    more = ("--values", chart / f"values-{env}.yaml") if env else ()
    done = helm().run("lint", "--strict", chart, *more)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_a_chart_renders_what_kubernetes_gets(env: str) -> None:
    """With the values of an environment it is what the target ``kubernetes`` makes for that."""
    found = helm().render(CHART, "--values", CHART / f"values-{env}.yaml")
    expected = trees(f.text for f in kubernetes.files(model_of(("kubernetes",), env)))
    assert same(found) == same(expected)


def test_a_chart_of_several_apps_renders_what_kubernetes_gets() -> None:
    """All objects of all apps, and the components that they share, with no values given."""
    expected = trees(f.text for f in kubernetes.files(model_of(("actors", "pubsub"), "prod")))
    assert same(helm().render(SEVERAL)) == same(expected)


def test_apps_run_without_dapr() -> None:
    """Switched off, there is no annotation of a sidecar and no resource of Dapr."""
    found = helm().render(CHART, "--set", "dapr.enabled=false")
    assert found
    assert "dapr.io/app-id" not in json.dumps(found)
    assert not [tree for tree in found if tree["apiVersion"].startswith("dapr.io/")]


def test_everything_a_user_may_set_reaches_the_cluster() -> None:
    """Values of the command line are rendered, and what they give is what a cluster takes."""
    given_ = (
        *("apps.orders.scaling.by=cpu", "apps.orders.scaling.min=3", "apps.orders.port=9000"),
        *("apps.orders.image.digest=sha256:ab", "apps.orders.image.pullPolicy=Always"),
        *("apps.orders.imagePullSecrets={here}", "apps.orders.nodeSelector.disk=ssd"),
        *("apps.orders.dapr.annotations.max-body-size=16777216", "apps.orders.env.N=12345678"),
        *("apps.orders.networkPolicy.enabled=false", "apps.orders.disruptions.maxUnavailable=50%"),
        *("components.broker.metadata.brokers=other:9092", "components.store.enabled=false"),
        "configurations.orders.spec.tracing.samplingRate=0.5",
    )
    found = helm().render(CHART, *(word for each in given_ for word in ("--set", each)))
    for tree in found:
        if not tree["apiVersion"].startswith("dapr.io/"):
            check(tree)
    by_kind = {tree["kind"]: tree for tree in found}
    pod = by_kind["Deployment"]["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    assert pod["metadata"]["annotations"]["dapr.io/app-port"] == "9000"
    assert pod["metadata"]["annotations"]["dapr.io/max-body-size"] == "16777216"
    assert container["image"] == "registry.example/orders@sha256:ab"
    assert {"name": "N", "value": "12345678"} in container["env"]
    assert pod["spec"]["imagePullSecrets"] == [{"name": "here"}]
    assert by_kind["HorizontalPodAutoscaler"]["spec"]["minReplicas"] == 3
    assert by_kind["PodDisruptionBudget"]["spec"]["maxUnavailable"] == "50%"
    assert "NetworkPolicy" not in by_kind
    assert "store" not in {tree["metadata"]["name"] for tree in found}


def test_numbers_of_a_file_of_values_stay_whole(tmp_path: Path) -> None:
    """Helm reads them as floating point; none is rendered with an exponent."""
    file = tmp_path / "values.yaml"
    file.write_text("apps: {orders: {env: {N: 123456789}, dapr: {annotations: {env: 12345678}}}}")
    text = json.dumps(helm().render(CHART, "--values", file))
    assert '"123456789"' in text
    assert '"dapr.io/env": "12345678"' in text


def test_helm_refuses_a_mistake_in_values() -> None:
    """The schema is one that Helm itself understands and applies."""
    done = helm().run("template", "release", CHART, "--set", "apps.orders.prot=1")
    assert done.returncode != 0
    assert "prot" in done.stderr
