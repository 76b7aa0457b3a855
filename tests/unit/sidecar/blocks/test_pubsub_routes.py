"""Which path an event takes."""

import pytest

from daprflow.protocol.documents import Routes, Rule, Subscription
from daprflow.protocol.expressions import ExpressionError
from daprflow.sidecar.blocks.pubsub_routes import clean_path, compile_routes


def routed(*rules: Rule, default: str = "", route: str = "") -> Subscription:
    """Return a subscription."""
    return Subscription("p", "t", route, Routes(rules, default))


@pytest.mark.row("I-PS")
def test_rules_are_tried_in_order() -> None:
    """The first that matches wins; a blank one always does."""
    table = compile_routes(
        routed(
            Rule("a", 'event.type == "a"'), Rule("/b", "event.data.n > 3"), Rule("/c", "  "),
        )
    )  # fmt: skip
    assert table.only is None
    assert table.find({"type": "a", "data": {}}) == "/a"
    assert table.find({"type": "x", "data": {"n": 4.0}}) == "/b"
    assert table.find({"type": "x", "data": {"n": 1.0}}) == "/c"


@pytest.mark.parametrize(
    ("subscription", "only"),
    [
        (Subscription("p", "t", "/v1"), "/v1"),
        (routed(default="/v2", route="/v1"), "/v2"),
        (routed(route="/v1"), "/v1"),
        (routed(Rule("/a", ""), Rule("/b", "true")), "/a"),
        (Subscription("p", "t"), None),
        (routed(Rule("/a", "true")), None),
    ],
)
def test_one_path_needs_no_look_at_the_event(subscription: Subscription, only: str | None) -> None:
    """Where no expression decides, the path is known beforehand."""
    assert compile_routes(subscription).only == only


def test_no_rule_matches() -> None:
    """Without a default an event may go nowhere."""
    assert compile_routes(routed(Rule("/a", "false"))).find({}) is None


def test_a_bad_rule_is_refused() -> None:
    """What is not CEL says so."""
    with pytest.raises(ExpressionError, match="'1 \\+' is not a CEL expression"):
        compile_routes(routed(Rule("/a", "1 +")))


def test_a_rule_that_fails_is_not_a_no() -> None:
    """A missing key is an error, which the next rule does not hide."""
    table = compile_routes(routed(Rule("/a", "event.data.x == 1"), default="/d"))
    with pytest.raises(ExpressionError, match="no such key: x"):
        table.find({"data": {}})


@pytest.mark.parametrize(
    ("path", "clean"),
    [
        ("a", "/a"),
        ("/a/../b//c", "/b/c"),
        ("../../etc", "/etc"),
        ("/a/", "/a/"),
        ("", "/"),
        ("/a?x=//..", "/a?x=//.."),
        ("//host/x", "/host/x"),
    ],
)
def test_paths_are_cleaned(path: str, clean: str) -> None:
    """A route cannot leave the app's root; its query stays."""
    assert clean_path(path) == clean


@pytest.mark.parametrize(
    ("subscription", "only"),
    [
        (Subscription("p", "t"), ""),
        (routed(default="rest"), "rest"),
        (routed(Rule("a//../b", "")), "a//../b"),
        (routed(Rule("/a", "true")), None),
    ],
)
def test_paths_that_stay_as_they_are(subscription: Subscription, only: str | None) -> None:
    """For gRPC apps no path is cleaned, and none at all is an empty one for every event."""
    assert compile_routes(subscription, verbatim=True).only == only


def test_no_path_is_added_to_rules() -> None:
    """An event that no rule matches leads nowhere, verbatim or not."""
    table = compile_routes(routed(Rule("a", 'event.type == "a"')), verbatim=True)
    assert table.find({"type": "b"}) is None
