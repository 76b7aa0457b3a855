"""Names of actors in the form that the runtime takes."""

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daprflow.protocol.actor_escapes import escaped, escaped_method
from daprflow.protocol.actor_names import method_problem, name_problem

TEXT = st.text(min_size=1) | st.text("%2F35Ce./#", min_size=1)


@given(TEXT)
def test_names_come_back(name: str) -> None:
    """Every name is taken by the runtime, and decoded by its path to the app."""
    assert name_problem(escaped(name)) == ""
    assert unquote(escaped(name)) == name


@given(TEXT)
def test_names_of_methods_come_back(name: str) -> None:
    """The same holds for methods, whose names may have slashes."""
    assert method_problem(escaped_method(name)) == ""
    assert unquote(escaped_method(name)) == name


@pytest.mark.parametrize("name", ["ann", "a|b c", "ñ.é", "user@host", "a+b"])
def test_names_that_are_taken_stay(name: str) -> None:
    """What the runtime takes anyway is the same for every SDK."""
    assert escaped(name) == escaped_method(name) == name
