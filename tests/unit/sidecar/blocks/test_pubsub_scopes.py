"""Which topics an app may use."""

import pytest

from daprflow.sidecar.blocks.pubsub_scopes import read_scopes

SCOPED = {"publishingscopes": "app1=a, b;app2=;app4", "subscriptionscopes": "app1=c"}
PROTECTED = {"protectedtopics": "secret", "publishingscopes": "app1=secret"}


@pytest.mark.parametrize(
    ("metadata", "app", "topic", "publish", "subscribe"),
    [
        ({}, "app1", "x", True, True),
        (SCOPED, "app1", "a", True, False),
        (SCOPED, "app1", "b", True, False),
        (SCOPED, "app1", "c", False, True),
        (SCOPED, "app2", "a", False, True),
        (SCOPED, "app3", "a", True, True),
        (SCOPED, "app4", "a", True, True),
        ({"allowedtopics": "a, b"}, "app1", "b", True, True),
        ({"allowedtopics": "a, b"}, "app1", "c", False, False),
        (PROTECTED, "app1", "secret", True, False),
        (PROTECTED, "app2", "secret", False, False),
        (PROTECTED, "app2", "open", True, True),
        (PROTECTED, "app1", "open", False, True),
    ],
)
def test_scopes(
    metadata: dict[str, str],
    app: str,
    topic: str,
    publish: bool,
    subscribe: bool,  # noqa: FBT001 - a table's columns
) -> None:
    """Listed with nothing means nothing, not listed means all; protected needs a grant."""
    scopes = read_scopes(metadata, app)
    assert scopes.may_publish(topic) is publish
    assert scopes.may_subscribe(topic) is subscribe
