from datetime import UTC, datetime, timedelta

from daprflow.testing import TestSidecar
from examples.jobs.app import Booking, app, book, cancel, remind, report, sent

EVENING = datetime(2026, 5, 1, 21, 30, tzinfo=UTC)


async def test_a_day_of_standing_jobs() -> None:
    """The report is written once a day, the sweep runs every hour, both from the start on."""
    async with TestSidecar(app, start=EVENING) as dapr:
        assert await dapr.client.job(report) is not None
        await dapr.advance(timedelta(days=1))
        texts = await dapr.invoke(sent)
        assert texts.count("swept") == 24
        assert texts.count("report, at most 1 a day") == 1


async def test_a_reminder_comes_once() -> None:
    """A job that is due at a moment comes then, and is over after."""
    async with TestSidecar(app, start=EVENING) as dapr:
        await dapr.invoke(book, Booking("o1", EVENING + timedelta(minutes=20)))
        await dapr.advance(timedelta(minutes=19))
        assert await dapr.invoke(sent) == []
        await dapr.advance(timedelta(minutes=2))
        assert await dapr.invoke(sent) == ["o1: it is today"]
        assert await dapr.client.job(remind) is None


async def test_a_cancelled_reminder_never_comes() -> None:
    """A job that was deleted is gone."""
    async with TestSidecar(app, start=EVENING) as dapr:
        await dapr.invoke(book, Booking("o1", EVENING + timedelta(minutes=20)))
        assert await dapr.invoke(cancel)
        await dapr.advance(timedelta(minutes=40))
        assert await dapr.invoke(sent) == []
        assert not await dapr.invoke(cancel)
