"""Bad resource files: each mistake is one line with the place, the object and the next step."""

import os
from pathlib import Path

import pytest

from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.components.base import ComponentError
from daprflow.sidecar.engine import Engine
from daprflow.sidecar.options import RuntimeOptions
from daprflow.sidecar.resources import Resources, load_resources
from daprflow.sidecar.runtime import Runtime

GOOD = """\
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {name: good}
spec: {type: state.in-memory, version: v1}
"""

HEAD = "apiVersion: dapr.io/v1alpha1\nkind: Component\n"

BAD: dict[str, tuple[str, list[str]]] = {
    "syntax error": (HEAD + "metadata: {name: a\nspec: [\n", ["bad.yaml:", "YAML"]),
    "tab": (HEAD + "metadata:\n\tname: a\n", ["bad.yaml:4", "YAML"]),
    "duplicate key": (
        HEAD + "metadata: {name: a}\nspec: {type: state.in-memory, type: x}\n",
        ["bad.yaml:4", "'type'", "twice"],
    ),
    "unknown type": (
        HEAD + "metadata: {name: a}\nspec: {type: stat.redis, version: v1}\n",
        ["bad.yaml:", "'a'", "'stat.redis'", "state.sqlite", "real runtime"],
    ),
    "unknown block": (
        HEAD + "metadata: {name: a}\nspec: {type: nonsense.x, version: v1}\n",
        ["bad.yaml:", "'a'", "'nonsense.x'"],
    ),
    "unknown version": (
        HEAD + "metadata: {name: a}\nspec: {type: state.sqlite, version: v9}\n",
        ["bad.yaml:", "'a'", "'v9'", "v1"],
    ),
    "no name": (
        HEAD + "metadata: {}\nspec: {type: state.in-memory}\n",
        ["bad.yaml:3", "'name'", "add it"],
    ),
    "no metadata": (HEAD + "spec: {type: state.in-memory}\n", ["bad.yaml:", "'metadata'"]),
    "no spec": (HEAD + "metadata: {name: a}\n", ["bad.yaml:", "'spec'"]),
    "no type": (HEAD + "metadata: {name: a}\nspec: {version: v1}\n", ["bad.yaml:4", "'type'"]),
    "name with slash": (
        HEAD + "metadata: {name: a/b}\nspec: {type: state.in-memory}\n",
        ["bad.yaml:3", "'a/b'"],
    ),
    "metadata as mapping": (
        HEAD + "metadata: {name: a}\nspec:\n  type: state.in-memory\n  metadata: {x: y}\n",
        ["bad.yaml:6", "'a'", "list"],
    ),
    "scopes as text": (
        HEAD + "metadata: {name: a}\nspec: {type: state.in-memory}\nscopes: app1\n",
        ["bad.yaml:5", "scopes", "list"],
    ),
    "same name": (
        HEAD + "metadata: {name: good}\nspec: {type: pubsub.in-memory}\n",
        ["'good'", "bad.yaml:", "good.yaml:", "rename"],
    ),
    "python object": (
        HEAD + "metadata: {name: !!python/object/apply:os.getcwd []}\nspec: {type: x}\n",
        ["bad.yaml:3"],
    ),
}


def write(folder: Path, name: str, content: bytes | str) -> Path:
    """Write one file."""
    data = content.encode() if isinstance(content, str) else content
    (folder / name).write_bytes(data)
    return folder


@pytest.mark.row("FS-27", "S-17")
@pytest.mark.parametrize("case", BAD)
def test_each_mistake_is_one_line(tmp_path: Path, case: str) -> None:
    """A bad document is one problem that names place and object; the others are read."""
    text, words = BAD[case]
    write(tmp_path, "good.yaml", GOOD)
    found = load_resources([write(tmp_path, "bad.yaml", text)])
    assert "good" in [component.name for component in found.components]
    (problem,) = found.problems
    assert [word for word in words if word not in problem] == []
    assert "\n" not in problem


@pytest.mark.row("FS-27", "S-17")
@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"\xff\xfe\x00", "UTF-8"),
        (b"a: " + b"[" * 5000, "bad.yaml"),
        (b"x" * (2 * 1024 * 1024), "larger"),
        (
            b"a: &a [x,x,x,x,x,x,x,x,x]\n"
            + b"\n".join(
                b"%c: &%c [%s]" % (c, c, b",".join([b"*%c" % (c - 1)] * 9)) for c in range(98, 110)
            ),
            "aliases",
        ),
    ],
    ids=["not UTF-8", "nested", "large", "billion laughs"],
)
def test_traps(tmp_path: Path, content: bytes, word: str) -> None:
    """A file that is no text, or a trap, is one problem and costs nothing."""
    found = load_resources([write(tmp_path, "bad.yaml", content)])
    (problem,) = found.problems
    assert word in problem
    assert "\n" not in problem


def test_what_is_passed_over(tmp_path: Path) -> None:
    """Empty documents, other kinds and other files are no problem."""
    text = f"---\n---\n# nothing\n---\nkind: Deployment\napiVersion: apps/v1\n---\n{GOOD}---\n"
    write(tmp_path, "notes.txt", "{")
    (tmp_path / "folder.yaml").mkdir()
    found = load_resources([write(tmp_path, "all.yml", text)])
    assert [component.name for component in found.components] == ["good"]
    assert found.problems == ()


def test_values_of_every_type(tmp_path: Path) -> None:
    """A metadata value of any YAML type reaches the component as text, as the real one has it."""
    values = {
        "text": ("hello", "hello"),
        "quoted number": ('"007"', "007"),
        "integer": ("7", "7"),
        "negative": ("-7", "-7"),
        "float": ("1.5", "1.5"),
        "whole float": ("1.0", "1"),
        "true": ("true", "true"),
        "null": ("null", ""),
        "list": ("[1, a]", '[1,"a"]'),
        "mapping": ("{a: 1}", '{"a":1}'),
        "date": ("2026-01-02", "2026-01-02"),
        "base 60": ("1:30", "1:30"),
    }
    entries = "".join(
        f"  - {{name: '{name}', value: {text}}}\n" for name, (text, _) in values.items()
    )
    head = HEAD + "metadata: {name: a}\nspec:\n  type: state.in-memory\n  metadata:\n"
    found = load_resources([write(tmp_path, "a.yaml", head + entries)])
    assert found.problems == ()
    read = {item.name: item.value or "" for item in found.components[0].metadata}
    assert read == {name: expected for name, (_, expected) in values.items()}


def test_scopes(tmp_path: Path) -> None:
    """Two components of one name may stand side by side where no app sees both."""
    two = "---\n".join(f"{GOOD}scopes: [{app}]\n" for app in ("a", "b"))
    write(tmp_path, "two.yaml", two)
    assert load_resources([tmp_path]).problems == ()
    assert len(load_resources([tmp_path], "a").components) == 1
    assert load_resources([tmp_path], "c").components == ()


def test_missing_folder(tmp_path: Path) -> None:
    """A resources folder that is not there is one problem that names it."""
    (problem,) = load_resources([tmp_path / "nowhere"]).problems
    assert "nowhere" in problem


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_unreadable_file(tmp_path: Path) -> None:
    """A file that may not be read is one problem that names it."""
    write(tmp_path, "secret.yaml", GOOD)
    (tmp_path / "secret.yaml").chmod(0)
    (problem,) = load_resources([tmp_path]).problems
    assert "secret.yaml" in problem


async def refusal(root: Path, resources: Resources) -> str:
    """Return why a sidecar does not start with ``resources``."""
    engine = Engine(VirtualClock(), None, root)
    runtime = Runtime(engine, RuntimeOptions("app1"), resources, None)
    with pytest.raises(ComponentError) as refused:
        await runtime.open()
    assert not runtime.health.outbound_ready
    await runtime.close(1.0)
    await engine.close()
    return str(refused.value)


@pytest.mark.row("FS-27")
@pytest.mark.parametrize(
    ("kind", "metadata", "words"),
    [
        ("bindings.cron", "", ["'a'", "schedule"]),
        ("bindings.cron", "{name: schedule, value: often}", ["'a'", "often"]),
        ("bindings.localstorage", "", ["'a'", "rootPath"]),
        ("bindings.localstorage", "{name: rootPath, value: /proc/x}", ["'a'", "disallowed"]),
        ("bindings.http", "", ["'a'", "url"]),
        ("secretstores.local.file", "", ["'a'", "secretsFile"]),
        ("secretstores.local.file", "{name: secretsFile, value: gone.json}", ["'a'", "gone.json"]),
        ("state.in-memory", "{name: keyPrefix, value: a||b}", ["a||b"]),
        ("state.sqlite", "{name: connectionString, value: text.txt/x.db}", ["'a'"]),
        ("state.sqlite", "{name: connectionString, value: text.txt}", ["'a'"]),
    ],
)
async def test_components_that_cannot_start(
    tmp_path: Path, kind: str, metadata: str, words: list[str]
) -> None:
    """A component that cannot be opened stops the start with one line that names it."""
    write(tmp_path, "text.txt", "this is no database" * 100)
    entries = f"\n  metadata:\n  - {metadata}" if metadata else ""
    text = f"{HEAD}metadata: {{name: a}}\nspec:\n  type: {kind}{entries}\n"
    found = load_resources([write(tmp_path, "a.yaml", text)])
    assert found.problems == ()
    reason = await refusal(tmp_path, found)
    assert [word for word in words if word not in reason] == []
    assert "\n" not in reason


@pytest.mark.row("FS-27")
async def test_ignored_errors(tmp_path: Path) -> None:
    """A component with ``ignoreErrors`` that cannot be opened is left out."""
    bad = HEAD + "metadata: {name: a}\nspec: {type: bindings.cron, ignoreErrors: true}\n"
    found = load_resources([write(tmp_path, "a.yaml", f"{bad}---\n{GOOD}")])
    engine = Engine(VirtualClock(), None, tmp_path)
    runtime = Runtime(engine, RuntimeOptions("app1"), found, None)
    await runtime.open()
    assert [component.resource.name for component in runtime.components] == ["good"]
    await runtime.close(1.0)
    await engine.close()
