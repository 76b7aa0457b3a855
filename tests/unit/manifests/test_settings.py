import re
from pathlib import Path

import msgspec
import pytest

from daprflow.launcher.exits import Exit, LaunchError
from daprflow.manifests.settings import AppSettings, CronScale, SecretVariable, read_settings

FILE = """
log-level = "info"

[manifests]
image = "r.example/{app}:1"
replicas = 3

[manifests.sidecar]
log-level = "warn"

[manifests.variables]
LOG-LEVEL = "x"
TOKEN = { secret = "a", key = "b" }

[manifests.apps.shop]
replicas = 4
port = 9000

[manifests.env.prod]
replicas = 5

[manifests.env.prod.sidecar]
metrics-port = 9191

[manifests.env.prod.apps.shop]
port = 9001
"""


def written(folder: Path, text: str) -> Path:
    """Write the file; return its folder."""
    (folder / "daprflow.toml").write_text(text, encoding="utf-8")
    return folder


def test_the_special_goes_before_the_general(tmp_path: Path) -> None:
    """An app's table goes over the common one, an environment's over both, key by key."""
    found = read_settings(written(tmp_path, FILE))
    plain, shop = found.of("other", ""), found.of("shop", "")
    prod, both = found.of("other", "prod"), found.of("shop", "prod")
    assert [each.replicas for each in (plain, shop, prod, both)] == [3, 4, 5, 5]
    assert [each.port for each in (plain, shop, prod, both)] == [8000, 9000, 8000, 9001]
    assert (both.sidecar.log_level, both.sidecar.metrics_port) == ("warn", 9191)
    assert found.environments == ("prod",)


def test_names_of_the_users_own_stay(tmp_path: Path) -> None:
    """A dash in an option is one in Python's form; in the name of a variable it stays."""
    found = read_settings(written(tmp_path, FILE)).of("shop", "")
    assert dict(found.variables) == {"LOG-LEVEL": "x", "TOKEN": SecretVariable(secret="a", key="b")}


def test_without_a_file_all_is_usual(tmp_path: Path) -> None:
    """A project needs no settings."""
    assert read_settings(tmp_path).of("shop", "prod") == AppSettings()


def test_the_command_line_goes_before_the_file(tmp_path: Path) -> None:
    """A flag counts whatever the tables say; an empty one says nothing."""
    found = read_settings(written(tmp_path, '[manifests]\nsubscriptions = "programmatic"\n'))
    assert found.given(subscriptions="declarative").of("a", "").subscriptions == "declarative"
    assert found.given(subscriptions="").of("a", "").subscriptions == "programmatic"
    with pytest.raises(LaunchError, match="command line"):
        found.given(subscriptions="both").of("a", "")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[manifests]\nreplica = 1", r"\[manifests\].*`replica`"),
        ("[manifests]\nreplicas = 'two'", "replicas"),
        ("[manifests.sidecar]\nlog-level = 'loud'", "sidecar.log_level"),
        ("[manifests.env.prod]\nnope = 1", r"\[manifests.env.prod\].*nope"),
        ("[manifests.apps.a]\nnope = 1", r"\[manifests.apps.a\].*nope"),
        ("[manifests.env.prod.apps.a]\nnope = 1", r"\[manifests.env.prod.apps.a\].*nope"),
        ("[manifests]\napps = 1", r"\[manifests.apps\] must be a table"),
        ("[manifests]\nenv = 1", r"\[manifests.env\] must be a table"),
        ("[manifests.env]\nprod = 1", r"\[manifests.env.prod\] must be a table"),
        ("[manifests.env.prod]\napps = 1", r"\[manifests.env.prod.apps\] must be a table"),
        ("manifests = 1", "must be a table"),
        ("[manifests", "is no TOML"),
        ("[manifests.variables]\nA = { secret = 'x' }", "variables"),
    ],
)
def test_a_mistake_is_one_line_with_its_table(tmp_path: Path, text: str, says: str) -> None:
    """Every table is checked, those of other apps and environments as well."""
    with pytest.raises(LaunchError, match=says) as found:
        read_settings(written(tmp_path, text))
    assert found.value.code is Exit.USAGE
    assert "\n" not in str(found.value) or "TOML" in str(found.value)


def named(table: type[msgspec.Struct]) -> set[str]:
    """Return the names of a table's settings, and of those in its tables."""
    found = set(table.__struct_fields__)
    for value in (field.default for field in msgspec.structs.fields(table)):
        if isinstance(value, msgspec.Struct):
            found |= named(type(value))
    return found


def test_the_reference_names_every_setting() -> None:
    """A setting that is not in the reference does not exist for those who read it."""
    page = (Path(__file__).parents[3] / "docs" / "reference" / "manifests.md").read_text()
    words = set(re.findall(r"[a-z_]+", page))
    missing = named(AppSettings) | set(CronScale.__struct_fields__)
    assert missing - words == set()
