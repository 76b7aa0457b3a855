"""Secret stores: the marks that Go leaves on what is no string."""

import json
from pathlib import Path

import pytest

from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.components.base import ComponentError
from daprflow.sidecar.components.secret_file import FileSecrets
from tests.helpers.components import context

KIND = "secretstores.local.file"


async def flattened(root: Path, text: str, **metadata: str) -> dict[str, dict[str, str]]:
    """Return every secret of a file."""
    (root / "s.json").write_text(text, encoding="utf-8")
    store = FileSecrets(context(root, VirtualClock(), KIND, secretsFile="s.json", **metadata))
    await store.open()
    found = await store.bulk({})
    await store.close()
    assert await store.bulk({}) == {}
    return found


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("3", "%!s(float64=3)"),
        ("3.5", "%!s(float64=3.5)"),
        ("-0.25", "%!s(float64=-0.25)"),
        ("0", "%!s(float64=0)"),
        ("100000", "%!s(float64=100000)"),
        ("1000000", "%!s(float64=1e+06)"),
        ("2097152", "%!s(float64=2.097152e+06)"),
        ("123456789", "%!s(float64=1.23456789e+08)"),
        ("0.0001", "%!s(float64=0.0001)"),
        ("0.00001", "%!s(float64=1e-05)"),
        ("1e300", "%!s(float64=1e+300)"),
        ("true", "%!s(bool=true)"),
        ("false", "%!s(bool=false)"),
        ("null", "%!s(<nil>)"),
        ('"text"', "text"),
        ('""', ""),
    ],
)
async def test_values_that_are_no_strings(tmp_path: Path, value: str, text: str) -> None:
    """Numbers, booleans and null have the form that Go's ``%s`` gives them."""
    assert await flattened(tmp_path, f'{{"k":{value}}}') == {"k": {"k": text}}


async def test_multi_valued_skips_what_is_neither(tmp_path: Path) -> None:
    """Of the first level a multi-valued store takes strings and objects alone."""
    text = json.dumps(
        {"a": "1", "b": {"c": {"d": True}, "e": ["x"]}, "n": 3, "l": ["x"], "z": None}
    )
    found = await flattened(tmp_path, text, multiValued="yes", nestedSeparator=".")
    assert found == {"a": {"a": "1"}, "b": {"c.d": "%!s(bool=true)", "e.0": "x"}}


async def test_what_is_given_is_a_copy(tmp_path: Path) -> None:
    """A caller cannot change the store through what it was given."""
    (tmp_path / "s.json").write_text('{"k":"v"}', encoding="utf-8")
    store = FileSecrets(context(tmp_path, VirtualClock(), KIND, secretsFile="s.json"))
    await store.open()
    (await store.get("k", {}))["k"] = "changed"
    (await store.bulk({}))["k"]["k"] = "changed"
    assert await store.get("k", {}) == {"k": "v"}


async def test_no_file_is_named(tmp_path: Path) -> None:
    """Without ``secretsFile`` the store does not start."""
    with pytest.raises(ComponentError, match="'secretsFile'"):
        await FileSecrets(context(tmp_path, VirtualClock(), KIND)).open()
