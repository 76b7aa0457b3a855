"""What an app's configuration says of its actors, type by type."""

import logging

import pytest

from daprflow.protocol.documents import AppConfig, EntityConfig, Reentrancy
from daprflow.sidecar.actors.settings import SettingsRefused, TypeSettings, settings_of


def test_defaults() -> None:
    """An hour of idling, two seconds to drain, nothing comes back."""
    assert settings_of(AppConfig(entities=("T",)), "a") == {"T": TypeSettings(3600.0, 2.0, None)}


@pytest.mark.row("I-AC", "I-AL")
def test_settings_for_all_types() -> None:
    """What the document itself says is for every type."""
    config = AppConfig(
        entities=("T", "U"),
        actor_idle_timeout="1m30s",
        drain_ongoing_call_timeout="5s",
        reentrancy=Reentrancy(enabled=True),
    )
    assert settings_of(config, "a") == dict.fromkeys(("T", "U"), TypeSettings(90.0, 5.0, 32))


def test_an_entry_is_taken_whole() -> None:
    """A type of an entry has nothing but its drain timeout from the document itself."""
    config = AppConfig(
        entities=("T", "U"),
        actor_idle_timeout="1m",
        drain_ongoing_call_timeout="5s",
        reentrancy=Reentrancy(enabled=True, max_stack_depth=3),
        entities_config=(
            EntityConfig(entities=("U",), reentrancy=Reentrancy(enabled=True, max_stack_depth=7)),
        ),
    )
    found = settings_of(config, "a")
    assert found == {"T": TypeSettings(60.0, 5.0, 3), "U": TypeSettings(3600.0, 5.0, 7)}


@pytest.mark.row("I-AL")
def test_no_drain_at_all() -> None:
    """Where rebalanced actors are not drained, turns under way get no time."""
    config = AppConfig(entities=("T",), drain_rebalanced_actors=False)
    assert settings_of(config, "a")["T"].drain == 0.0


@pytest.mark.row("I-AL")
def test_a_drain_that_a_move_does_not_allow(caplog: pytest.LogCaptureFixture) -> None:
    """A drain timeout of half a minute or more is cut to 24 seconds, with a word about it."""
    config = AppConfig(entities=("T",), drain_ongoing_call_timeout="40s")
    with caplog.at_level(logging.WARNING):
        assert settings_of(config, "a")["T"].drain == 24.0
    assert "24 s is what a move allows" in caplog.text


def test_a_bad_duration_for_all_types_refuses_them() -> None:
    """Without a readable duration the app hosts nothing, and the text says which."""
    with pytest.raises(SettingsRefused, match="'1 hour' is not a duration"):
        settings_of(AppConfig(entities=("T",), actor_idle_timeout="1 hour"), "a")


def test_a_bad_duration_of_an_entry_leaves_the_default(caplog: pytest.LogCaptureFixture) -> None:
    """The type is hosted with the default, and the log says so."""
    entry = EntityConfig(entities=("T",), actor_idle_timeout="x")
    config = AppConfig(entities=("T",), entities_config=(entry,))
    with caplog.at_level(logging.WARNING):
        assert settings_of(config, "a")["T"].idle == 3600.0
    assert "bad duration for actors of type 'T'" in caplog.text


def test_an_entry_for_a_type_that_is_not_hosted(caplog: pytest.LogCaptureFixture) -> None:
    """It is left out, with a word about it."""
    config = AppConfig(entities=("T",), entities_config=(EntityConfig(entities=("U",)),))
    with caplog.at_level(logging.WARNING):
        assert list(settings_of(config, "a")) == ["T"]
    assert "'U', which it does not host" in caplog.text
