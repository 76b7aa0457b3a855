from datetime import timedelta

import pytest

from daprflow.testing import Broker, StateStore, TestSidecar
from examples.bulk.app import (
    Imported,
    Reading,
    app,
    import_readings,
    latest,
    readings,
    unusable,
)

GIVEN = [Reading("a", 1.5), Reading("b", -400), Reading("a", 2.5), Reading("c", 3)]
SOON = timedelta(seconds=1)


async def test_a_batch_is_taken_whole_but_for_its_bad_entry(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Four readings come in one call; the broken one is a dead letter, the others are stored."""
    async with TestSidecar(app) as dapr:
        assert await dapr.invoke(import_readings, GIVEN) == Imported(4, {})
        await dapr.advance(SOON)
        assert await dapr.invoke(latest, ["a", "b", "c"]) == {"a": 2.5, "c": 3}
        assert dapr.published(unusable) == [Reading("b", -400)]
    assert "4 readings of 2 sensors" in capsys.readouterr().out


async def test_what_could_not_be_stored_comes_again(capsys: pytest.CaptureFixture[str]) -> None:
    """While the store fails an entry asks for another delivery, and none is lost."""
    async with TestSidecar(app) as dapr:
        store = dapr.fail(StateStore("statestore", on="write"))
        await dapr.invoke(import_readings, GIVEN)
        await dapr.advance(SOON)
        assert await dapr.invoke(latest, ["a", "c"]) == {}
        store.end()
        await dapr.advance(SOON)
        assert await dapr.invoke(latest, ["a", "c"]) == {"a": 2.5, "c": 3}
    assert "3 readings of 2 sensors" in capsys.readouterr().out


async def test_what_the_broker_refuses_is_named_by_position() -> None:
    """Where one of many events is not published, the others are, and the answer says which."""
    async with TestSidecar(app) as dapr:
        dapr.fail(Broker("pubsub"), times=1)
        answer = await dapr.invoke(import_readings, GIVEN)
        assert answer.taken == 3
        assert list(answer.refused) == [0]
        assert len(dapr.published(readings)) == 3
