"""Component files: what is read of them, and where a problem is said to be."""

import logging
from pathlib import Path

import pytest

from daprflow.protocol.resources import MetadataItem, SecretKeyRef
from daprflow.sidecar.resources import Resources, load_resources

HEAD = "apiVersion: dapr.io/v1alpha1\nkind: Component\n"


def load(root: Path, text: str, app_id: str = "", namespace: str = "") -> Resources:
    """Read one file with ``text``."""
    (root / "r.yaml").write_text(text, encoding="utf-8")
    return load_resources([root], app_id, namespace=namespace)


def component(
    name: str, spec: str = "{type: state.in-memory}", more: str = "", *, scope: str = ""
) -> str:
    """Return a document."""
    more += f"scopes: [{scope}]\n" if scope else ""
    return f"{HEAD}metadata: {{name: {name}}}\nspec: {spec}\n{more}"


def test_everything_a_document_says(tmp_path: Path) -> None:
    """Type, version, sources of values, scopes, secret store and times are read."""
    text = """# a comment
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {name: s, namespace: prod}
spec:
  type: State.SQLite
  version: v1
  ignoreErrors: true
  initTimeout: 1m30s
  metadata:
  - {name: connectionString, value: "x.db"}
  - {name: password, secretKeyRef: {name: db, key: pw}}
  - {name: other, secretKeyRef: {name: db}}
  - {name: env, envRef: HOME}
  - {name: both, value: v, envRef: HOME}
auth: {secretStore: vault}
scopes: [a, b]
"""
    (found,) = load(tmp_path, text).components
    assert (found.type, found.version, found.kind) == ("state.sqlite", "v1", "state")
    assert (found.ignore_errors, found.init_timeout) == (True, 90.0)
    assert (found.secret_store, found.scopes, found.namespace) == ("vault", ("a", "b"), "prod")
    assert found.source == f"{tmp_path / 'r.yaml'}:3"
    assert found.metadata == (
        MetadataItem("connectionString", "x.db"),
        MetadataItem("password", secret_key_ref=SecretKeyRef("db", "pw")),
        MetadataItem("other", secret_key_ref=SecretKeyRef("db")),
        MetadataItem("env", env_ref="HOME"),
        MetadataItem("both", "v"),
    )


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("text", "text"),
        ('"1"', "1"),
        ("1", "1"),
        ("1.0", "1"),
        ("1.5", "1.5"),
        ("1e3", "1000"),
        ("0x1F", "31"),
        ("1_000", "1000"),
        ("yes", "true"),
        ("off", "false"),
        ("~", ""),
        ("12:30:45", "12:30:45"),
        ("2024-01-01", "2024-01-01"),
        ("no-thing", "no-thing"),
        ("{a: [1, {b: x}]}", '{"a":[1,{"b":"x"}]}'),
        ("[]", "[]"),
        ("|-\n      line\n      two", "line\ntwo"),
    ],
)
def test_values(tmp_path: Path, written: str, value: str) -> None:
    """A value reaches the component as text; dates and base-60 numbers are no special types."""
    text = f"{HEAD}metadata: {{name: s}}\nspec:\n  type: state.in-memory\n  metadata:\n"
    (found,) = load(tmp_path, f"{text}  - name: k\n    value: {written}\n").components
    assert found.metadata[0].value == value


@pytest.mark.row("FS-27")
@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: [", 1, "correct the YAML"),
        (f"{HEAD}metadata: {{name: a}}\nspec: {{type: x\n", 5, "correct the YAML"),
        ("a: 1\nb: 2\na: 3", 3, "key 'a' stands here twice"),
        ("? [a]\n: 1", 1, "a key must be a plain value"),
        ("x: !!python/name:os.system ''", 1, "correct the YAML"),
        ("a: &a [*a]", 1, "nested too deeply"),
        ("[" * 200 + "]" * 200, 1, "nested too deeply"),
        ("a: &a 1\nb: [" + "*a," * 30 + "]", 2, "too many aliases"),
        (f"{HEAD}metadata: {{}}\n", 3, "'name' is missing"),
        (f"{HEAD}spec: {{type: x}}\n", 1, "needs 'metadata'"),
        (f"{HEAD}metadata: {{name: a}}\n", 1, "needs 'spec'"),
        (component("a", "{version: v1}"), 4, "'type' is missing"),
        (component("a/b"), 3, "must be a path segment"),
        (component("[a]"), 3, "'name' must be a text"),
        (component("a", "{type: state.in-memory, metadata: 3}"), 4, "must be a list"),
        (component("a", "{type: state.in-memory, ignoreErrors: 3}"), 4, "true or false"),
        (component("a", "{type: state.in-memory, initTimeout: soon}"), 4, "initTimeout"),
        (component("a", "{type: state.in-memory}", "scopes: a"), 5, "list of app ids"),
        (component("a", "{type: stat.cosmos}"), 2, "state.in-memory, "),
        (component("a", "{type: state.in-memory, version: v2}"), 2, "has v1"),
    ],
)
def test_each_problem_has_a_place(tmp_path: Path, text: str, line: int, words: str) -> None:
    """A mistake is one line with file, line, object and what to do."""
    (problem,) = load(tmp_path, text).problems
    assert problem.startswith(f"{tmp_path / 'r.yaml'}:{line}: ")
    assert words in problem
    assert "\n" not in problem


def test_of_two_values_the_last_counts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As with the real runtime, whose own documentation has such files; one line says so."""
    items = "[{name: K, value: one}, {name: b, value: x}, {name: k, value: two}]"
    found = load(tmp_path, component("a", f"{{type: state.in-memory, metadata: {items}}}"))
    assert found.problems == ()
    assert [(item.name, item.value) for item in found.components[0].metadata] == [
        ("b", "x"),
        ("k", "two"),
    ]
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.endswith(f"'a' is set already at {tmp_path / 'r.yaml'}:4; the last one counts")


@pytest.mark.row("FS-36")
def test_lines_are_counted_through_a_file(tmp_path: Path) -> None:
    """In the third document of a file a line is the file's, with Windows line ends too."""
    text = f"{component('a')}---\n{component('b')}--- # third\n\na: 1\na: 2\n"
    found = load(tmp_path, text.replace("\n", "\r\n"))
    assert [c.name for c in found.components] == ["a", "b"]
    assert [c.source.rpartition(":")[2] for c in found.components] == ["2", "7"]
    assert found.problems[0].startswith(f"{tmp_path / 'r.yaml'}:13: key 'a'")


def test_merge_keys(tmp_path: Path) -> None:
    """A merge key adds what a mapping lacks, and overrides nothing."""
    text = f"x: &x {{type: state.sqlite, version: v1}}\n{HEAD}metadata: {{name: a}}\n"
    (found,) = load(tmp_path, f"{text}spec:\n  <<: *x\n  type: state.in-memory\n").components
    assert found.type == "state.in-memory"


@pytest.mark.row("I-MI")
def test_who_sees_what(tmp_path: Path) -> None:
    """What is scoped to other apps or stands in another namespace is left out."""
    text = f"{component('a', scope='one')}---\n{component('b')}"
    assert [c.name for c in load(tmp_path, text, app_id="one").components] == ["a", "b"]
    assert [c.name for c in load(tmp_path, text, app_id="two").components] == ["b"]
    other = f"{HEAD}metadata: {{name: a, namespace: x}}\nspec: {{type: state.in-memory}}\n"
    assert load(tmp_path, other, namespace="y").components == ()
    assert len(load(tmp_path, other, namespace="x").components) == 1
    assert len(load(tmp_path, other).components) == 1


@pytest.mark.row("FS-27", "I-MI")
def test_two_of_one_name(tmp_path: Path) -> None:
    """Two components of one name are a problem where some app sees both."""
    text = f"{component('a', scope='one')}---\n{component('a')}"
    (problem,) = load(tmp_path, text).problems
    assert "component 'a' is defined already at" in problem
    apart = f"{component('a', scope='x')}---\n{component('a', scope='y')}"
    assert load(tmp_path, apart).problems == ()


def test_types_that_may_be_missing(tmp_path: Path) -> None:
    """With ``ignoreErrors`` an unknown type is left to the start, which passes over it."""
    text = component("a", "{type: stat.cosmos, ignoreErrors: true}")
    assert load(tmp_path, text).problems == ()


def test_other_kinds(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Another kind of Dapr's is passed over with a warning, anything else in silence."""
    caplog.set_level(logging.WARNING)
    text = (
        "apiVersion: dapr.io/v1alpha1\nkind: WorkflowAccessPolicy\n---\nkind: Pod\n---\n- 1\n---\n"
    )
    assert load(tmp_path, text) == Resources()
    assert [record.getMessage().rpartition(": ")[2] for record in caplog.records] == [
        "kind 'WorkflowAccessPolicy' is not read by the embedded sidecar"
    ]


def test_a_kind_that_is_none(tmp_path: Path) -> None:
    """A kind that Dapr does not have, half a word perhaps, is told, and refused by a reload."""
    found = load(tmp_path, "apiVersion: dapr.io/v1alpha1\nkind: Compo")
    assert found.left_out == (
        f"{next(tmp_path.iterdir())}:1: Dapr has no kind 'Compo'; correct it, or take it out",
    )


@pytest.mark.row("S-03")
def test_values_are_not_told(tmp_path: Path) -> None:
    """S-03: a problem names entries and never shows what they hold."""
    text = component("a", "{type: state.x, metadata: [{name: k, value: s3cret}, {name: K}]}")
    assert "s3cret" not in str(load(tmp_path, text).problems)
