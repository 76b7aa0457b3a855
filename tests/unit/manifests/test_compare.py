"""What differs between manifests and code, one rule after the other."""

from pathlib import Path

import msgspec
import pytest

from daprflow.components.declarations import Declarations
from daprflow.launcher.exits import LaunchError
from daprflow.launcher.report import Cron, HandlerRow
from daprflow.manifests.compare import compare
from daprflow.manifests.compare_model import Code
from daprflow.manifests.compare_problem import Problem
from daprflow.manifests.compare_read import read_deployed
from daprflow.manifests.model import AppFacts
from daprflow.protocol.documents import Routes, Rule, Subscription
from daprflow.protocol.resiliency import ResiliencyResource
from daprflow.protocol.resources import ComponentResource, MetadataItem
from tests.helpers.cli_run import write

ORDERS = "/dapr/topics/pubsub/orders"
VIP = "/dapr/topics/pubsub/orders/vip"
FACTS = AppFacts(
    app_id="shop",
    target="app.py",
    module="app",
    root="/",
    folder="/",
    handlers=(
        HandlerRow("topic", "pubsub/orders", ORDERS, "on_order", "app:5"),
        HandlerRow("topic", "pubsub/orders", VIP, "on_vip", "app:9"),
        HandlerRow("invoke", "quote", "/quote", "quote", "app:13"),
        HandlerRow("invoke", "ready", "/ready", "ready", "app:16", method="GET"),
        HandlerRow("cron", "/sweep", "/sweep", "sweep", "app:20"),
    ),
    subscriptions=(
        Subscription(
            "pubsub",
            "orders",
            routes=Routes((Rule(VIP, "event.type == 'vip'"),), ORDERS),
            dead_letter_topic="dead",
        ),
    ),
    crons=(Cron("sweep", "@every 15m"),),
    actors=("Cart",),
)
CODE = Code(FACTS)
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata:
  name: shop
spec:
  template:
    metadata:
      annotations:
        dapr.io/enabled: "true"
        dapr.io/app-id: shop
        dapr.io/app-port: "8000"
    spec:
      containers:
      - name: shop
        args: [daprflow, serve, app.py]
        readinessProbe:
          httpGet: {path: /readyz, port: 8000}
"""
PUBSUB = """
apiVersion: dapr.io/v1alpha1
kind: Component
metadata:
  name: pubsub
spec:
  type: pubsub.redis
  version: v1
  metadata:
  - name: redisHost
    value: redis:6379
scopes: [shop]
"""
STORE = """
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {name: statestore}
spec:
  type: state.redis
  version: v1
  metadata:
  - {name: actorStateStore, value: "true"}
scopes: [shop]
"""
CRON = """
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {name: sweep}
spec:
  type: bindings.cron
  version: v1
  metadata:
  - {name: schedule, value: "@every 15m"}
scopes: [shop]
"""
SUBSCRIPTION = f"""
apiVersion: dapr.io/v2alpha1
kind: Subscription
metadata: {{name: orders}}
spec:
  pubsubname: pubsub
  topic: orders
  routes:
    rules:
    - match: event.type == 'vip'
      path: {VIP}
    default: {ORDERS}
  deadLetterTopic: dead
scopes: [shop]
"""
RESILIENCY = """
apiVersion: dapr.io/v1alpha1
kind: Resiliency
metadata: {name: patient}
spec:
  policies:
    timeouts: {short: 1s}
  targets:
    apps: {shop: {timeout: short}}
    actors: {Cart: {timeout: short}}
    components: {pubsub: {inbound: {timeout: short}}}
scopes: [shop]
"""
SOUND = {
    "deployment.yaml": DEPLOYMENT,
    "dapr/pubsub.yaml": PUBSUB,
    "dapr/store.yaml": STORE,
    "dapr/cron.yml": CRON,
    "dapr/orders.yaml": SUBSCRIPTION,
    "dapr/patient.yaml": RESILIENCY,
}


def problems(folder: Path, files: dict[str, str], code: Code = CODE) -> tuple[Problem, ...]:
    """Write files and compare them with the code."""
    write(folder, files)
    return compare(code, read_deployed(folder))


def sound(folder: Path) -> Path:
    """Write files that agree with the code."""
    write(folder, SOUND)
    return folder


def test_what_agrees_has_no_problem(tmp_path: Path) -> None:
    """Manifests that say what the code says pass, with every kind of document among them."""
    assert problems(tmp_path, SOUND) == ()


APP, BROKER, STATES = "deployment.yaml", "dapr/pubsub.yaml", "dapr/store.yaml"
CRONS, ORDER, POLICY = "dapr/cron.yml", "dapr/orders.yaml", "dapr/patient.yaml"
GRACEFUL = "dapr.io/graceful-shutdown-seconds"
CHANGES = [
    (APP, "app-id: shop", "app-id: shopp", "app-id", "the code's is 'shop'"),
    (APP, '"8000"', '"9000"', "app-port", "listens on 8000"),
    (APP, '        dapr.io/app-port: "8000"\n', "", "app-port", "never calls"),
    (APP, "app.py]", "app.py, --port=8080]", "app-port", "listens on 8080"),
    (APP, '"true"', '"true"\n        dapr.io/app-protocol: grpc', "app-protocol", ""),
    (APP, '"true"', f'"true"\n        {GRACEFUL}: "31"', "annotation", "killed after 30"),
    (APP, '"true"', f'"true"\n        {GRACEFUL}: "soon"', "annotation", "no number of seconds"),
    (APP, "/readyz", "/health", "probe-path", "'/health'"),
    (APP, "port: 8000}", "port: 81}", "probe-port", "port 81"),
    (APP, "app-port", "app-prot", "annotation", "perhaps 'dapr.io/app-port'"),
    (APP, '"8000"', "8000", "annotation", "no text"),
    (APP, '"true"', '"false"', "annotation", "no sidecar"),
    (APP, "        dapr.io/app-id: shop\n", "", "app-id", "no app id"),
    (
        APP,
        "  name: shop\n",
        '  name: shop\n  annotations: {dapr.io/enabled: "true"}\n',
        "annotation-place",
        "spec.template.metadata.annotations",
    ),
    (
        APP,
        '"true"',
        '"true"\n        dapr.io/app-health-check-path: /ping',
        "health-path",
        "'/ping'",
    ),
    (
        APP,
        "      - name: shop\n",
        "      - name: shop\n        env: [{name: DB_PASSWORD, value: hunter2}]\n",
        "plain-secret",
        "DB_PASSWORD",
    ),
    (BROKER, "scopes: [shop]", "", "unscoped", "'pubsub'"),
    (BROKER, "scopes: [shop]", "scopes: [shopp]", "scopes", "for 'shopp' alone"),
    (BROKER, "name: pubsub", "name: broker", "no-component", "uses component 'pubsub'"),
    (BROKER, "type: pubsub.redis", "type: state.redis", "component-kind", "wants pubsub"),
    (BROKER, "name: redisHost", "name: redisPassword", "plain-secret", "redisPassword"),
    (
        BROKER,
        "value: redis:6379",
        "value: redis:6379\n  - name: subscriptionScopes\n    value: shop=others",
        "topic-scope",
        "not subscribe to 'orders'",
    ),
    (
        BROKER,
        "value: redis:6379",
        "value: redis:6379\n  - name: publishingScopes\n    value: shop=orders",
        "topic-scope",
        "'dead', the dead letter topic",
    ),
    (
        BROKER,
        "value: redis:6379",
        "secretKeyRef: {name: a}\nauth: {secretStore: vautl}",
        "no-component",
        "'vautl'",
    ),
    (STATES, '"true"', '"false"', "actor-store", "has actors"),
    (CRONS, "15m", "5m", "schedule", "'@every 5m'"),
    (ORDER, "topic: orders", "topic: order", "unhandled-topic", "perhaps 'pubsub/orders'"),
    (ORDER, f"default: {ORDERS}", "default: /orders", "route", "go to '/orders'"),
    (ORDER, f"    default: {ORDERS}\n", "", "route", "lacks a default"),
    (ORDER, "== 'vip'", "== 'pop'", "route", "by the rule"),
    (ORDER, "  deadLetterTopic: dead\n", "", "dead-letter", "no dead letter topic"),
    (ORDER, "topic: orders", "topic: orders\n  bulkSubscribe: {enabled: true}", "bulk", ""),
    (ORDER, "topic: orders", "topic: orders\n  metadata: {rawPayload: 'true'}", "raw", ""),
    (ORDER, "pubsubname: pubsub", "pubsubname: pubsbu", "no-component", "'pubsbu'"),
    (ORDER, "deadLetterTopic", "deadLeterTopic", "invalid", "perhaps 'deadLetterTopic'"),
    (ORDER, "v2alpha1", "v3", "invalid", "not 'dapr.io/v3'"),
    (ORDER, "Subscription", "Subscripton", "invalid", "perhaps 'Subscription'"),
    (ORDER, "  topic: orders\n", "", "invalid", "'topic' is missing"),
    (ORDER, "kind:", "kind", "invalid", "correct the YAML"),
    (POLICY, "apps: {shop:", "apps: {shopp:", "resiliency-target", "app 'shopp'"),
    (POLICY, "{Cart:", "{Carts:", "resiliency-target", "actor 'Carts'"),
    (POLICY, "{pubsub:", "{pubsbu:", "resiliency-target", "component 'pubsbu'"),
    (POLICY, "{Cart: {timeout: short}}", "{Cart: {timeout: shrt}}", "resiliency-policy", ""),
    (POLICY, "{short: 1s}", "{short: soon}", "invalid", "soon"),
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: f"{change[3]}-{change[4]}")
def test_each_difference_is_told_with_its_place(
    tmp_path: Path, change: tuple[str, str, str, str, str]
) -> None:
    """One change of a sound folder gives a problem of its rule, and one in the changed file."""
    file, before, after, rule, part = change
    assert before in SOUND[file]
    found = problems(tmp_path, SOUND | {file: SOUND[file].replace(before, after, 1)})
    told = [each for each in found if each.rule == rule]
    (place, *_) = {each.file: each.line for each in told if part in str(each)}.items()
    assert place[0] == str(tmp_path / file if place[1] else tmp_path)
    assert all(each.remedy for each in found)


def test_a_secret_store_must_be_for_who_needs_its_secrets(tmp_path: Path) -> None:
    """A sidecar that sees a component, and not the store of its secrets, does not start."""
    refers = PUBSUB.replace("value: redis:6379", "secretKeyRef: {name: a}")
    store = """
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {name: vault}
spec: {type: secretstores.hashicorp.vault, version: v1}
scopes: [billing]
"""
    files = SOUND | {BROKER: f"{refers}auth: {{secretStore: vault}}\n", "vault.yaml": store}
    (found,) = problems(tmp_path, files)
    assert (found.rule, found.file) == ("scopes", str(tmp_path / "vault.yaml"))
    assert "the sidecar of 'shop' would not start" in str(found)
    assert not problems(tmp_path, files | {"vault.yaml": store.replace("billing", "shop")})


def test_what_is_for_an_app_is_in_its_namespace(tmp_path: Path) -> None:
    """Sidecars see the resources of their own namespace alone."""
    here = DEPLOYMENT.replace("  name: shop\nspec", "  name: shop\n  namespace: here\nspec")
    there = PUBSUB.replace("  name: pubsub", "  name: pubsub\n  namespace: there")
    files = SOUND | {"deployment.yaml": here, BROKER: there}
    (found,) = problems(tmp_path, files)
    assert (found.rule, found.line) == ("scopes", 6)
    assert "in namespace 'there', and 'shop', which it is for, in 'here'" in str(found)
    assert not problems(tmp_path, files | {BROKER: there.replace("there", "here")})


def test_a_declared_resiliency_is_there_as_declared(tmp_path: Path) -> None:
    """One of the same name that says something else is told."""
    (has,) = (each.resource for each in read_deployed(sound(tmp_path)).resiliencies)
    for wanted, told in ((has, 0), (msgspec.structs.replace(has, actors={}), 1)):
        facts = msgspec.structs.replace(FACTS, declarations=Declarations(resiliencies=(wanted,)))
        found = compare(Code(facts), read_deployed(tmp_path))
        assert [each.rule for each in found] == ["no-resiliency"] * told


CONFIGURATION = """
apiVersion: dapr.io/v1alpha1
kind: Configuration
metadata: {name: shop}
spec:
  accessControl:
    defaultAction: deny
    policies:
    - appId: website
      operations:
      - {name: /b, action: allow}
      - {name: /a, action: allow}
"""
ACCESS = {
    "defaultAction": "deny",
    "policies": [
        {
            "operations": [{"action": "allow", "name": "/a"}, {"action": "allow", "name": "/b"}],
            "appId": "website",
        }
    ],
}


@pytest.mark.parametrize(
    ("declared", "metadata"),
    [("pubsub.daprflow", {}), ("pubsub.redis", {"redisHost": "localhost:6379"})],
)
def test_what_a_machine_alone_has_may_be_another_outside_a_cluster(
    tmp_path: Path, declared: str, metadata: dict[str, str]
) -> None:
    """Compose has a Redis in its place; in a cluster it is told."""
    items = tuple(MetadataItem(name, value) for name, value in metadata.items())
    wanted = ComponentResource("pubsub", declared, metadata=items)
    facts = msgspec.structs.replace(
        FACTS, declarations=Declarations(components=(wanted,)), actors=(), crons=(), handlers=()
    )
    services = {"compose.yaml": "services:\n  shop-dapr: {command: [daprd, --app-id=shop]}\n"}
    told = [each.rule for each in problems(tmp_path, {BROKER: PUBSUB} | services, Code(facts))]
    assert "component-type" not in told
    assert "component-metadata" not in told
    (tmp_path / "compose.yaml").unlink()
    told = [each.rule for each in problems(tmp_path, {APP: DEPLOYMENT}, Code(facts))]
    assert {"component-type", "component-metadata"} & {*told}


def test_who_may_call_is_as_the_code_declares(tmp_path: Path) -> None:
    """A policy that is missing, not referred to, or another one, is told; order is nothing."""
    code = Code(FACTS, configuration={"accessControl": ACCESS})
    named = DEPLOYMENT.replace(
        "dapr.io/app-id: shop", "dapr.io/app-id: shop\n        dapr.io/config: shop"
    )
    files = SOUND | {"deployment.yaml": named, "configuration.yaml": CONFIGURATION}
    assert not problems(tmp_path, files, code)
    for changed, part in (
        ({"configuration.yaml": CONFIGURATION.replace("/a,", "/**,")}, "'accessControl' of"),
        ({"configuration.yaml": CONFIGURATION.replace("name: shop", "name: shap")}, "'shap'"),
        ({"configuration.yaml": "# none\n"}, "'shop', which is not here"),
        ({"deployment.yaml": DEPLOYMENT}, "has no configuration"),
    ):
        (found,) = problems(tmp_path, files | changed, code)
        assert found.rule == "configuration"
        assert part in str(found)


def test_no_problem_tells_a_secret(tmp_path: Path) -> None:
    """A secret in plain text is named, and its value is not repeated."""
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nstringData:\n  dsn: hunter2\n"
    login = PUBSUB.replace("redis:6379", "redis://me:hunter2@redis")
    found = problems(tmp_path, SOUND | {"dapr/pubsub.yaml": login, "secret.yaml": secret})
    assert [(each.rule, each.line) for each in found] == [("plain-secret", 11), ("plain-secret", 5)]
    assert "hunter2" not in str(found)


def test_everything_is_told_at_once_in_order(tmp_path: Path) -> None:
    """Several mistakes in several files give as many lines, sorted by file and line."""
    changed = SOUND | {
        "deployment.yaml": DEPLOYMENT.replace('"8000"', '"9000"').replace("/readyz", "/x"),
        "dapr/pubsub.yaml": PUBSUB.replace("scopes: [shop]", ""),
    }
    found = problems(tmp_path, changed)
    assert [each.rule for each in found] == ["unscoped", "app-port", "probe-path"]
    assert list(found) == sorted(found)
    assert str(found[1]).startswith(
        f"{tmp_path}/deployment.yaml:12: Deployment 'shop' has app port"
    )


def test_routes_of_a_host_are_not_guessed(tmp_path: Path) -> None:
    """Where another application's routes are served as well, any path may be one of them."""
    changed = SOUND | {
        "deployment.yaml": DEPLOYMENT.replace("/readyz", "/host"),
        "more.yaml": SUBSCRIPTION.replace("topic: orders", "topic: foreign"),
    }
    assert problems(tmp_path, changed, Code(FACTS, hosted=True)) == ()
    assert {each.rule for each in problems(tmp_path, changed)} == {"probe-path", "unhandled-topic"}


def test_a_topic_may_be_taken_by_an_invoke_handler(tmp_path: Path) -> None:
    """A subscription to a topic without a handler is sound where its path is an endpoint."""
    more = SUBSCRIPTION.replace("topic: orders", "topic: quotes").partition("    rules:")
    routes = "    default: /quote\nscopes: [shop]\n"
    assert problems(tmp_path, SOUND | {"more.yaml": f"{more[0]}{routes}"}) == ()


def test_handlers_without_a_document_are_told_where_documents_count(tmp_path: Path) -> None:
    """A second topic of the code lacks its Subscription; without any of them, none is asked for."""
    second = Subscription("pubsub", "returns", routes=Routes((), "/dapr/topics/pubsub/returns"))
    facts = msgspec.structs.replace(FACTS, subscriptions=(*FACTS.subscriptions, second))
    (told,) = problems(tmp_path, SOUND, Code(facts))
    assert told.rule == "no-subscription"
    (tmp_path / "dapr/orders.yaml").unlink()
    assert compare(Code(facts), read_deployed(tmp_path)) == ()
    silent = '"true"\n        dapr.io/disable-init-endpoints: subscribe'
    write(tmp_path, {"deployment.yaml": DEPLOYMENT.replace('"true"', silent)})
    told, other = compare(Code(facts), read_deployed(tmp_path))
    assert {told.rule, other.rule} == {"no-subscription"}


def test_what_the_code_declares_must_be_there_alike(tmp_path: Path) -> None:
    """Another type, another value, a missing entry and a missing policy are differences."""
    component = ComponentResource("pubsub", "pubsub.kafka", source="app:3")
    declared = Declarations("prod", (component,), (ResiliencyResource("kind", source="app:4"),))
    code = Code(msgspec.structs.replace(FACTS, declarations=declared))
    assert {each.rule for each in problems(tmp_path, SOUND, code)} == {
        "component-type",
        "no-resiliency",
    }
    items = (MetadataItem("redisHost", "other:1"), MetadataItem("consumerID", "a"))
    component = ComponentResource("pubsub", "pubsub.redis", metadata=items, source="app:3")
    declared = Declarations("prod", (component,))
    code = Code(msgspec.structs.replace(FACTS, declarations=declared))
    told = [each.text for each in problems(tmp_path, SOUND, code)]
    assert len(told) == 2
    assert any("lacks 'consumerID'" in each for each in told)
    assert any("has another 'redisHost'" in each for each in told)
    assert "other:1" not in str(told)


COMPOSE = """
services:
  shop:
    image: shop
    command: daprflow serve app.py --port 8000
  shop-dapr:
    image: daprio/daprd:1.18.3
    command: ["./daprd", "-app-id", "shop", "--app-port=9000", "-app-protocol", "http"]
    network_mode: service:shop
"""
RUN_FILE = """
version: 1
apps:
- appID: shop
  appDirPath: .
  appPort: 9000
  command: [daprflow, serve, app.py, --port, "8000"]
  env: {API_TOKEN: hunter2}
"""


@pytest.mark.parametrize(
    ("text", "rules"),
    [(COMPOSE, ["app-port"]), (RUN_FILE, ["app-port", "plain-secret"])],
    ids=["compose", "run file"],
)
def test_compose_and_run_files_are_read(tmp_path: Path, text: str, rules: list[str]) -> None:
    """What a sidecar is started with is compared wherever it is written."""
    files = {name: each for name, each in SOUND.items() if name != "deployment.yaml"}
    assert [each.rule for each in problems(tmp_path, files | {"file.yaml": text})] == rules
    mended = text.replace("9000", "8000").replace("  env: {API_TOKEN: hunter2}\n", "")
    assert problems(tmp_path, files | {"file.yaml": mended}) == ()


def test_variables_of_compose_may_be_a_list(tmp_path: Path) -> None:
    """A secret and a port are found there, too; what the shell fills in is no secret."""
    files = {name: each for name, each in SOUND.items() if name != "deployment.yaml"}
    listed = "    environment: [DAPRFLOW_PORT=9000, API_TOKEN=hunter2, 'DB_PASSWORD=$DB']\n"
    text = COMPOSE.replace(" --port 8000\n", f"\n{listed}")
    (told,) = problems(tmp_path, files | {"file.yaml": text})
    assert (told.rule, "API_TOKEN" in told.text) == ("plain-secret", True)


def test_other_apps_of_the_folder_are_left_alone(tmp_path: Path) -> None:
    """With a second app, only what is for this one is compared with its code."""
    other = DEPLOYMENT.replace("app-id: shop", "app-id: risk").replace("8000", "7000")
    theirs = SUBSCRIPTION.replace("[shop]", "[risk]").replace("topic: orders", "topic: scores")
    found = problems(tmp_path, SOUND | {"risk.yaml": other, "scores.yaml": theirs})
    assert found == ()


def test_what_helm_renders_is_read_and_a_chart_is_not(tmp_path: Path) -> None:
    """A list of objects is read like the objects; templates wait until they are rendered."""
    indented = "".join(f"  {line}\n" for line in DEPLOYMENT.strip().splitlines())
    rendered = f"apiVersion: v1\nkind: List\nitems:\n- {indented[2:]}"
    files = {name: text for name, text in SOUND.items() if name != "deployment.yaml"}
    assert problems(tmp_path / "a", files | {"rendered.yaml": rendered}) == ()
    wrong = rendered.replace('"8000"', '"1"')
    assert [e.rule for e in problems(tmp_path / "a", {"rendered.yaml": wrong})] == ["app-port"]
    chart = {"b/Chart.yaml": "name: shop\n", "b/templates/a.yaml": "{{ if .Values }}\n"}
    write(tmp_path, chart)
    deployed = read_deployed(tmp_path)
    assert [each.rule for each in deployed.problems] == []
    assert "helm template" in deployed.notes[0]
    with pytest.raises(LaunchError, match="helm template"):
        read_deployed(tmp_path / "b")


def test_a_folder_without_manifests_is_refused(tmp_path: Path) -> None:
    """No folder, or none with YAML, is a mistake of the command."""
    with pytest.raises(LaunchError, match="no folder"):
        read_deployed(tmp_path / "none")
    with pytest.raises(LaunchError, match="no YAML file"):
        read_deployed(tmp_path)


@pytest.mark.parametrize("raw", [b"\xff\xfe", b"a: [", b"a: 1\na: 2\n", b"[" * 3000])
def test_what_cannot_be_read_is_a_problem(tmp_path: Path, raw: bytes) -> None:
    """Broken files are told like everything else, with file and line."""
    (tmp_path / "broken.yaml").write_bytes(raw)
    found = read_deployed(tmp_path).problems
    assert len(found) == 1
    assert found[0].file == str(tmp_path / "broken.yaml")
    assert found[0].line >= 1
