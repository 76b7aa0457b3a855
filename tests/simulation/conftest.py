"""The seeds of a run, as parameters of the test that runs them."""

import pytest

from tests.helpers.simulated_seeds import chunks, name_of


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each test that runs seeds its parts of them."""
    if "simulation_seeds" in metafunc.fixturenames:
        metafunc.parametrize("simulation_seeds", chunks(metafunc.config), ids=name_of)
