"""What an app subscribes to, when both it and files say so."""

import pytest

from daprflow.protocol.documents import Subscription
from daprflow.sidecar.blocks.pubsub_wanted import Origin, Wanted, merged, raw_of


def to(route: str, topic: str = "t") -> Subscription:
    """Return a subscription."""
    return Subscription("ps", topic, route=route)


@pytest.mark.row("I-SU")
def test_the_apps_own_word_goes_before_a_file() -> None:
    """A programmatic subscription takes the place of a declarative one to the same topic."""
    found = merged([to("/file"), to("/other", "u")], [to("/own")])
    assert found == (Wanted(to("/own")), Wanted(to("/other", "u"), Origin.DECLARATIVE))


@pytest.mark.row("I-SU")
def test_the_first_of_several_files_counts() -> None:
    """Among declarative subscriptions to one topic the first wins."""
    assert merged([to("/first"), to("/second")], []) == (Wanted(to("/first"), Origin.DECLARATIVE),)


@pytest.mark.row("I-SU")
def test_the_last_of_several_entries_of_the_app_counts() -> None:
    """Among programmatic subscriptions to one topic the last wins, in the place of the first."""
    found = merged([], [to("/a"), to("/x", "u"), to("/b")])
    assert [(item.document.route, item.origin) for item in found] == [
        ("/b", "PROGRAMMATIC"),
        ("/x", "PROGRAMMATIC"),
    ]


def test_whether_plain_bytes_are_wanted(caplog: pytest.LogCaptureFixture) -> None:
    """``rawPayload`` is a boolean; anything else is named, for no event can be delivered then."""
    assert raw_of(Subscription("ps", "t")) == (False, "")
    assert raw_of(Subscription("ps", "t", metadata={"rawPayload": "true"})) == (True, "")
    reason = "rawPayload value must be a valid boolean: actual is 'maybe'"
    assert raw_of(Subscription("ps", "t", metadata={"rawPayload": "maybe"})) == (False, reason)
    assert f"no event of 'ps/t' can be delivered: {reason}" in caplog.text
