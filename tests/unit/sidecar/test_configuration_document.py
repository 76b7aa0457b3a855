"""Configuration files: what is read, what is refused, and who may do what then."""

import logging
from pathlib import Path

import pytest

from daprflow.protocol.configuration_file import (
    AccessControl,
    AccessOperation,
    AccessPolicy,
    ApiRule,
    ConfigurationResource,
    NamedLimit,
    PipelineHandler,
    SecretScope,
    WorkflowConfiguration,
    WorkflowRetention,
)
from daprflow.sidecar.access import api_access, may_invoke
from daprflow.sidecar.configuration_document import load_configuration
from daprflow.sidecar.resource_fields import DocumentError

HEAD = "kind: Configuration\nspec:\n"


def load(root: Path, *specs: str) -> ConfigurationResource:
    """Read one file for each spec."""
    files = []
    for number, spec in enumerate(specs):
        files.append(root / f"c{number}.yaml")
        files[-1].write_text(HEAD + spec, encoding="utf-8")
    return load_configuration(files, {"STORE": "vault"})


def test_everything_a_file_says(tmp_path: Path) -> None:
    """Pipelines keep their order; lists, scopes and features are read; variables are filled in."""
    found = load(
        tmp_path,
        """  httpPipeline: {handlers: [{name: b, type: middleware.http.bearer}, {name: a, type:
    middleware.http.uppercase}]}
  api: {allowed: [{name: state, version: v1.0, protocol: HTTP}]}
  secrets: {scopes: [{storeName: $STORE, defaultAccess: Deny, allowedSecrets: [a]}]}
  features: [{name: HotReload, enabled: false}]
  components: {deny: [state.Redis]}
""",
    )
    file = tmp_path / "c0.yaml"
    assert found == ConfigurationResource(
        http_pipeline=(
            PipelineHandler("b", "middleware.http.bearer", f"{file}:3"),
            PipelineHandler("a", "middleware.http.uppercase", f"{file}:3"),
        ),
        api_allowed=(ApiRule("state", "v1.0", "http"),),
        features=(("HotReload", False),),
        secret_scopes=(SecretScope("vault", "deny", ("a",)),),
        denied_components=("state.redis",),
    )
    assert not found.hot_reload


def test_what_is_said_about_workflows(tmp_path: Path) -> None:
    """Limits and how long what is over is kept are read; nothing said is no limit."""
    found = load(
        tmp_path,
        "  workflow:\n    maxConcurrentWorkflowInvocations: 3\n"
        "    maxConcurrentActivityInvocations: 4\n"
        "    stateRetentionPolicy: {anyTerminal: 1h, completed: 0s}\n",
    )
    retention = WorkflowRetention(any_terminal=3600.0, completed=0.0)
    assert found.workflow == WorkflowConfiguration(3, 4, retention)
    found = load(
        tmp_path,
        "  workflow:\n    maxConcurrentWorkflowInvocations: 3\n"
        "    globalMaxConcurrentWorkflowInvocations: 2\n"
        "    globalMaxConcurrentActivityInvocations: 5\n"
        "    workflowConcurrencyLimits: [{name: w, maxConcurrent: 1}, {name: v}]\n"
        "    activityConcurrencyLimits: [{name: a, maxConcurrent: 7}]\n",
    )
    assert found.workflow == WorkflowConfiguration(
        2, 5, workflow_limits=(NamedLimit("w", 1),), activity_limits=(NamedLimit("a", 7),)
    )
    assert load(tmp_path, "  features: []\n").workflow == WorkflowConfiguration()
    with pytest.raises(DocumentError, match="'failed'"):
        load(tmp_path, "  workflow: {stateRetentionPolicy: {failed: soon}}\n")


def test_what_the_page_on_workflows_shows() -> None:
    """The limits of the how-to page are read as it says."""
    file = Path(__file__).parents[3] / "examples" / "workflows" / "limits.yaml"
    retention = WorkflowRetention(any_terminal=168 * 3600.0, completed=24 * 3600.0)
    expected = WorkflowConfiguration(100, 100, retention, (), (NamedLimit("charge", 2),))
    assert load_configuration([file], {}).workflow == expected


def test_the_later_file_counts(tmp_path: Path) -> None:
    """Of two files that say something about one thing the later counts; a list is one thing."""
    found = load(
        tmp_path,
        "  accessControl: {defaultAction: deny, trustDomain: mine}\n  components: {deny: [a]}\n"
        "  api: {allowed: [{name: state}]}\n  mtls: {enabled: true}\n",
        "  accessControl: {defaultAction: allow}\n  api: {denied: [{name: a}, {name: b}]}\n"
        "  components: {deny: [b]}\n  mtls: {enabled: false}\n  features:\n",
    )
    assert found.access_control == AccessControl("allow", "mine")
    assert found.denied_components == ("b",)
    assert found.api_allowed == (ApiRule("state", "", ""),)
    assert found.api_denied == (ApiRule("a", "", ""), ApiRule("b", "", ""))


def test_a_mistake_in_the_first_of_two_files(tmp_path: Path) -> None:
    """A mistake is named where it stands, whatever further files say about that part."""
    with pytest.raises(DocumentError, match=r"c0\.yaml:4: 'allowed' must be a list"):
        load(tmp_path, "  api:\n    allowed: {}\n", "  api:\n    denied: []\n")


@pytest.mark.row("S-34", "S-35")
@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("  mtls: {}\n", "no mTLS"),
        ("  httpPipeline: {handlers: [{name: a, type: middleware.http.wasm}]}\n", "takes|has no"),
        ("  httpPipeline: {handlers: [{name: a, type: bearer}]}\n", "has no middleware 'bearer'"),
        ("  accessControl: {policies: [{appId: a}]}\n", "'namespace' is missing"),
        ("  accessControl: {defaultAction: maybe}\n", "must be allow or deny"),
        ("  api: []\n", "'api' must be a mapping"),
        ("  a: [\n", "c0.yaml:"),
    ],
)
def test_what_cannot_be_honoured_is_refused(tmp_path: Path, spec: str, words: str) -> None:
    """A protection that is not understood, or that does not exist here, stops the start."""
    with pytest.raises(DocumentError, match=words):
        load(tmp_path, spec)


def test_what_is_left_out_is_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A part that protects nothing and is not used here is named once."""
    with caplog.at_level(logging.WARNING):
        load(tmp_path, "  nameResolution: {component: dns}\n  mtls: {enabled: false}\n")
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path / 'c0.yaml'}:3: the embedded sidecar does not use 'nameResolution'"
    ]


def test_a_field_below_a_part_that_is_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A name that is nearly right is told: a rule would silently not be what it looks like."""
    operation = "{name: /a, action: deny, httpVerbs: [GET]}"
    policy = f"{{appId: a, namespace: b, trustDomain: c, operations: [{operation}]}}"
    with caplog.at_level(logging.WARNING):
        load(tmp_path, f"  accessControl: {{policies: [{policy}]}}\n")
    [line] = caplog.messages
    assert line.endswith("does not use 'accessControl.policies.operations.httpVerbs'")


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    """A file without a Configuration, and one that is not there, are refused."""
    (tmp_path / "x.yaml").write_text("kind: Component\n", encoding="utf-8")
    for name in ("x.yaml", "none.yaml"):
        with pytest.raises(DocumentError, match=name):
            load_configuration([tmp_path / name], {})


def test_api_lists() -> None:
    """With an allow list nothing else is served; a deny list wins; health always is."""
    state, grpc = ApiRule("state", "v1.0", "http"), ApiRule("publish", "v1.0", "grpc")
    allowed = api_access(ConfigurationResource(api_allowed=(state,)))
    denied = api_access(ConfigurationResource(api_denied=(state,)))
    assert api_access(ConfigurationResource(api_allowed=(grpc,))) is None
    assert allowed is not None
    assert denied is not None
    assert (allowed.permits("v1.0", "state"), allowed.permits("v1.0", "publish")) == (True, False)
    assert not allowed.permits("v1.0-alpha1", "state")
    assert (denied.permits("v1.0", "state"), denied.permits("v1.0", "publish")) == (False, True)
    assert allowed.permits("v1.0", "healthz")


POLICY = AccessPolicy(
    "one",
    "default",
    "public",
    "allow",
    (
        AccessOperation("/op/*", "deny", ("*",)),
        AccessOperation("op/free", "allow", ("GET",)),
        AccessOperation("/all/**", "deny", ("POST",)),
    ),
)


@pytest.mark.row("S-30")
@pytest.mark.parametrize(
    ("caller", "verb", "path", "may"),
    [
        ("one", "GET", "/op/x", False),
        ("one", "GET", "/OP/Free", True),
        ("one", "GET", "/op/x/y", True),
        ("one", "POST", "/all/a/b", False),
        ("one", "GET", "/all/a/b", True),
        ("one", "GET", "/other", True),
        ("two", "GET", "/other", False),
    ],
)
def test_access_control(caller: str, verb: str, path: str, *, may: bool) -> None:
    """The longest name that fits decides, then the policy's default, then the global one."""
    control = AccessControl("", policies=(POLICY,))
    assert may_invoke(control, caller, "default", verb, path) is may


def test_access_control_without_policies() -> None:
    """Nothing said allows all; a policy of another namespace or domain is not the caller's."""
    assert may_invoke(AccessControl(), "x", "default", "GET", "/")
    assert not may_invoke(AccessControl("deny"), "x", "default", "GET", "/")
    assert not may_invoke(AccessControl("", policies=(POLICY,)), "one", "other", "GET", "/")


@pytest.mark.parametrize(
    ("scope", "may"),
    [
        (SecretScope("s"), (True, True)),
        (SecretScope("s", "deny"), (False, False)),
        (SecretScope("s", "allow", ("a",)), (True, False)),
        (SecretScope("s", "allow", (), ("a",)), (False, True)),
        (SecretScope("s", "deny", ("a",), ("a",)), (True, False)),
    ],
)
def test_secret_scopes(scope: SecretScope, may: tuple[bool, bool]) -> None:
    """A list of allowed secrets goes before one of denied secrets, and that before the default."""
    assert (scope.permits("a"), scope.permits("b")) == may
