"""Requests of an app to its sidecar, as they are written."""

from urllib.parse import unquote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daprflow.protocol import operations
from daprflow.protocol.operations import BindingCall

names = st.text(min_size=1)


@given(text=names)
def test_a_name_becomes_one_plain_segment(text: str) -> None:
    """Whatever a name holds, the sidecar's unescaping gives it back and cleaning leaves it."""
    segment = operations.segment(text)

    assert unquote_plus(segment) == text
    assert segment.isascii()
    assert not set(segment) & set("/?#+ \r\n")
    assert segment not in {".", ".."}


@given(metadata=st.dictionaries(names, st.text(), max_size=4))
def test_metadata_survives_the_query(metadata: dict[str, str]) -> None:
    """Names and values of request metadata come back as they were."""
    text = operations.query(metadata)

    pairs = [part.partition("=") for part in text.removeprefix("?").split("&") if part]
    read = {unquote_plus(name): unquote_plus(value) for name, _, value in pairs}
    assert read == {f"metadata.{name}": value for name, value in metadata.items()}
    assert text.startswith("?") == bool(metadata)


def test_an_empty_name_is_refused() -> None:
    """An empty segment would be cleaned away, and the path mean something else."""
    with pytest.raises(ValueError, match="a name is empty"):
        operations.segment("")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("price", "price"),
        ("/v1/price/", "v1/price"),
        ("v1//price", "v1/price"),
        ("a b?c#d", "a%20b%3Fc%23d"),
        ("../x", "%2E%2E/x"),
        ("", ""),
    ],
)
def test_a_method_keeps_its_slashes(method: str, path: str) -> None:
    """A method is a path; its parts are escaped one by one."""
    request = operations.invoke("a/b", method, b"", "")

    assert request.target == f"/v1.0/invoke/a%2Fb/method/{path}"
    assert request.headers == ()


def test_a_binding_call_without_data_has_none() -> None:
    """Absent data is not null."""
    request = operations.call_binding("b", BindingCall(operation="list"))

    assert request.body == b'{"operation":"list"}'
