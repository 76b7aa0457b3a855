"""Which topics an app may use."""

import pytest

from daprflow.sidecar.blocks.pubsub_scopes import read_scopes

SCOPED = {"publishingscopes": "app1=a, b;app2=;app4", "subscriptionscopes": "app1=c"}
PROTECTED = {"protectedtopics": "secret", "publishingscopes": "app1=secret"}


@pytest.mark.row("I-PS", "S-31")
@pytest.mark.parametrize(
    ("metadata", "app", "topic", "allowed"),
    [
        ({}, "app1", "x", {"publish", "subscribe"}),
        (SCOPED, "app1", "a", {"publish"}),
        (SCOPED, "app1", "b", {"publish"}),
        (SCOPED, "app1", "c", {"subscribe"}),
        (SCOPED, "app2", "a", {"subscribe"}),
        (SCOPED, "app3", "a", {"publish", "subscribe"}),
        (SCOPED, "app4", "a", {"publish", "subscribe"}),
        ({"allowedtopics": "a, b"}, "app1", "b", {"publish", "subscribe"}),
        ({"allowedtopics": "a, b"}, "app1", "c", set()),
        (PROTECTED, "app1", "secret", {"publish"}),
        (PROTECTED, "app2", "secret", set()),
        (PROTECTED, "app2", "open", {"publish", "subscribe"}),
        (PROTECTED, "app1", "open", {"subscribe"}),
    ],
)
def test_scopes(metadata: dict[str, str], app: str, topic: str, allowed: set[str]) -> None:
    """Listed with nothing means nothing, not listed means all; protected needs a grant."""
    scopes = read_scopes(metadata, app)
    assert scopes.may_publish(topic) is ("publish" in allowed)
    assert scopes.may_subscribe(topic) is ("subscribe" in allowed)
