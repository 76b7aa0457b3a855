"""What an editor shows of a public name says how it is used."""

from tests.docs.docstring_examples import PARTS_ONLY, examples, lacking
from tests.docs.docstring_parts import DECORATOR, MADE_FOR_USERS, unsaid
from tests.docs.public_names import documented, exported


def test_every_public_name_has_a_docstring() -> None:
    """Classes, functions and methods; whether examples type-check is seen in tests/typing."""
    assert [each.name for each in documented() if not (each.value.__doc__ or "").strip()] == []


def test_every_public_name_shows_an_example() -> None:
    """A few lines say how it is used, but of what only other parts of daprflow call."""
    assert list(lacking()) == []


def test_what_needs_no_example_exists() -> None:
    """The list of exceptions has no name that is gone, and none that has an example."""
    names = {each.name.removeprefix("daprflow.") for each in documented()}
    assert PARTS_ONLY - names == set()
    assert PARTS_ONLY & {each.name.removeprefix("daprflow.") for each in examples()} == set()


def test_arguments_results_and_errors_are_said() -> None:
    """What a public name takes, returns and raises by itself is in its docstring."""
    assert list(unsaid()) == []


def test_classes_that_users_do_not_make_exist() -> None:
    """The list of those whose arguments need no words has no name that is gone."""
    names = {each.name.removeprefix("daprflow.") for each in documented()}
    assert (MADE_FOR_USERS | {DECORATOR}) - names == set()


def test_public_names_are_found() -> None:
    """What is looked at is what users import, methods included."""
    assert {"daprflow.DaprFlow", "daprflow.client.ClientCall", "daprflow.testing.replay"} <= set(
        exported()
    )
    assert "daprflow.client.state.Store.get" in {each.name for each in documented()}
