"""Names of actors in the form that the runtime takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daprflow.protocol.actor_escapes import escaped, unescaped
from daprflow.protocol.actor_names import name_problem


@given(st.text(min_size=1) | st.text("%2F35Ce./#", min_size=1))
def test_names_come_back(name: str) -> None:
    """Every name is taken by the runtime, and comes back as it was given."""
    assert name_problem(escaped(name)) == ""
    assert unescaped(escaped(name)) == name


@pytest.mark.parametrize("name", ["ann", "a|b c", "100%", "ñ.é", "user@host", "a%zz"])
def test_names_that_are_taken_stay(name: str) -> None:
    """What the runtime takes anyway is the same for every SDK."""
    assert escaped(name) == name
