"""What an app subscribes to, when both it and files say so."""

from daprflow.protocol.documents import Subscription
from daprflow.sidecar.blocks.pubsub_wanted import Origin, Wanted, merged


def to(route: str, topic: str = "t") -> Subscription:
    """Return a subscription."""
    return Subscription("ps", topic, route=route)


def test_the_apps_own_word_goes_before_a_file() -> None:
    """A programmatic subscription takes the place of a declarative one to the same topic."""
    found = merged([to("/file"), to("/other", "u")], [to("/own")])
    assert found == (Wanted(to("/own")), Wanted(to("/other", "u"), Origin.DECLARATIVE))


def test_the_first_of_several_files_counts() -> None:
    """Among declarative subscriptions to one topic the first wins."""
    assert merged([to("/first"), to("/second")], []) == (Wanted(to("/first"), Origin.DECLARATIVE),)


def test_the_last_of_several_entries_of_the_app_counts() -> None:
    """Among programmatic subscriptions to one topic the last wins, in the place of the first."""
    found = merged([], [to("/a"), to("/x", "u"), to("/b")])
    assert [(item.document.route, item.origin) for item in found] == [
        ("/b", "PROGRAMMATIC"),
        ("/x", "PROGRAMMATIC"),
    ]
