"""The page of environment variables has every one that is read or given."""

import re

from tests.docs.environment_page import (
    BUILT,
    GIVEN,
    PAGE,
    READ,
    literals,
    of_an_app,
    offered,
    page,
)


def test_the_page_is_made_from_the_code() -> None:
    """``python -m tests.docs.environment_page`` writes it."""
    assert PAGE.read_text(encoding="utf-8") == page()


def test_every_variable_in_the_code_is_on_the_page() -> None:
    """A name that stands in the code, or that an option takes, has a row."""
    text = PAGE.read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `([A-Z_]+)` \|", text, re.MULTILINE))
    options = {variable for each in offered() for variable in each.variables}
    assert literals() | options <= listed


def test_nothing_else_is_on_the_page() -> None:
    """What the page adds by hand stands in the code, but for two names that are put together."""
    assert {*GIVEN, *READ} - BUILT - literals() == set()
    assert set(READ) >= BUILT


def test_what_an_app_reads_is_what_its_settings_are() -> None:
    """The names are those of the page about settings, which is compared with the code."""
    assert {"DAPR_HTTP_PORT", "DAPRFLOW_METRICS", "OTEL_TRACES_SAMPLER"} <= set(of_an_app())
