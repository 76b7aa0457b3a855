"""Resiliency files: what is read, and how every mistake is told."""

import logging
from pathlib import Path

import pytest

from daprflow.protocol.resiliency import (
    ActorTarget,
    AppTarget,
    BreakerSpec,
    CodeRange,
    ComponentTarget,
    PolicyNames,
    RetrySpec,
)
from daprflow.sidecar.resources import load_resources
from tests.helpers.policies import policy_files

FULL = """
  policies:
    timeouts: {fast: 500ms, bare: "100", long: 1h1m}
    retries:
      plain: {}
      constant: {policy: constant, duration: 2s, maxRetries: 3}
      growing: {policy: Exponential, maxInterval: 15s, maxRetries: -1}
      picky: {matching: {httpStatusCodes: "429,500-599", gRPCStatusCodes: "8,14"}}
    circuitBreakers:
      plain:
      strict: {maxRequests: 2, interval: 8s, timeout: "45000", trip: consecutiveFailures > 8}
  targets:
    apps:
      shop: {timeout: fast, retry: constant, circuitBreaker: strict, circuitBreakerCacheSize: 9}
      bare: {}
    actors:
      Cart: {timeout: fast, circuitBreaker: strict, circuitBreakerScope: both}
    components:
      store:
        outbound: {retry: growing}
        inbound: {timeout: long}
"""


def test_everything_is_read(tmp_path: Path) -> None:
    """Policies of each kind and targets of each kind are read; what is missing has its default."""
    found = policy_files(tmp_path, FULL)
    assert found.problems == found.left_out == ()
    (one,) = found.resiliencies
    assert one.name == "res"
    assert one.source == f"{tmp_path / 'policy-0.yaml'}:2"
    assert one.timeouts == {"fast": 0.5, "bare": 0.1, "long": 3660.0}
    assert one.retries == {
        "plain": RetrySpec(),
        "constant": RetrySpec(duration=2.0, max_retries=3),
        "growing": RetrySpec(exponential=True, max_interval=15.0),
        "picky": RetrySpec(
            http_codes=(CodeRange(429, 429), CodeRange(500, 599)),
            grpc_codes=(CodeRange(8, 8), CodeRange(14, 14)),
        ),
    }
    assert one.circuit_breakers == {
        "plain": BreakerSpec(1, 0.0, 60.0, ""),
        "strict": BreakerSpec(2, 8.0, 45.0, "consecutiveFailures > 8"),
    }
    assert one.apps == {
        "shop": AppTarget(PolicyNames("fast", "constant", "strict"), 9),
        "bare": AppTarget(PolicyNames(), 100),
    }
    names = PolicyNames(timeout="fast", circuit_breaker="strict")
    assert one.actors == {"Cart": ActorTarget(names, "both", 5000)}
    assert one.components == {
        "store": ComponentTarget(PolicyNames(timeout="long"), PolicyNames(retry="growing"))
    }


@pytest.mark.row("I-RE")
@pytest.mark.parametrize(
    ("policies", "line", "text"),
    [
        ("timeouts: {a: soon}", 6, "'a': 'soon' is not a duration"),
        ("timeouts: {a: 5}", 6, "'a' must be a text such as \"5s\""),
        ("timeouts: {a: }", 6, "'a' must be a text such as"),
        (
            "retries: {a: {policy: linear}}",
            6,
            "policy 'linear' must be 'constant' or 'exponential'",
        ),
        ("retries: {a: {maxRetries: '3'}}", 6, "'maxRetries' must be a whole number"),
        ("retries: {a: {duration: 5 s}}", 6, "'5 s' is not a duration"),
        ("retries: {a: b}", 6, "'a' must be a mapping"),
        ("circuitBreakers: {a: {maxRequests: -1}}", 6, "'maxRequests' must not be negative"),
        ("circuitBreakers: {a: {trip: 'requests >'}}", 6, "'requests >' is not a CEL expression"),
    ],
)
def test_mistakes_in_policies(tmp_path: Path, policies: str, line: int, text: str) -> None:
    """A wrong policy is named with file and line, and its document is left out."""
    found = policy_files(tmp_path, f"  policies:\n    {policies}")
    (mistake,) = found.left_out
    assert mistake.startswith(f"{tmp_path / 'policy-0.yaml'}:{line}: ")
    assert text in mistake
    assert found.problems == ()
    assert found.resiliencies == ()


@pytest.mark.parametrize(
    "codes",
    ["429, 500", "99", "600", "500-", "-500", "599-500", "500-599-600", "x", "4xx", "200-700"],
)
def test_bad_codes(tmp_path: Path, codes: str) -> None:
    """Codes with blanks, outside their range, or in the wrong order are mistakes."""
    found = policy_files(
        tmp_path, f"  policies:\n    retries: {{a: {{matching: {{httpStatusCodes: '{codes}'}}}}}}"
    )
    assert "write them as" in found.left_out[0]


@pytest.mark.parametrize("scope", ["", "circuitBreakerScope: all"])
def test_an_actor_breaker_needs_a_scope(tmp_path: Path, scope: str) -> None:
    """An actor target with a breaker says whether it is for the type or for each id."""
    text = f"  targets:\n    actors: {{Cart: {{circuitBreaker: cb, {scope}}}}}"
    assert "needs 'circuitBreakerScope': type, id, both" in policy_files(tmp_path, text).left_out[0]


def test_all_mistakes_are_named(tmp_path: Path) -> None:
    """A document with several mistakes names each in a line of its own."""
    text = """
  policies:
    timeouts: {a: x}
    retries:
      b: {maxRetries: many, matching: {httpStatusCodes: "1"}}
    circuitBreakers: {c: {trip: "(", timeout: 1}}
  targets:
    apps: {d: {circuitBreakerCacheSize: -1}}
"""
    lines = policy_files(tmp_path, text).left_out
    numbers = [line.split(": ")[0].rsplit(":", 1)[1] for line in lines]
    assert numbers == ["6", "8", "8", "9", "9", "11"]


def test_the_others_stay(tmp_path: Path) -> None:
    """A document with a mistake does not take the others with it."""
    found = policy_files(tmp_path, "  policies:\n    timeouts: {a: x}", FULL)
    assert len(found.left_out) == 1
    assert len(found.resiliencies) == 1


def test_an_unknown_breaker_of_a_component(tmp_path: Path) -> None:
    """A component's breaker that no document defines stops the start: the real runtime crashes."""
    text = "  targets:\n    components: {store: {outbound: {circuitBreaker: gone}}}"
    (problem,) = policy_files(tmp_path, text).problems
    assert "uses circuit breaker 'gone', which no document defines" in problem


def test_policies_of_another_document(tmp_path: Path) -> None:
    """A target may use what another document defines."""
    found = policy_files(
        tmp_path,
        "  targets:\n    components: {store: {outbound: {circuitBreaker: cb}}}",
        "  policies:\n    circuitBreakers: {cb: {}}",
    )
    assert found.problems == ()


def test_other_unknown_names(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Any other name that nobody defines stands for no policy, and is told."""
    with caplog.at_level(logging.WARNING):
        found = policy_files(tmp_path, "  targets:\n    apps: {shop: {retry: often}}")
    assert found.problems == found.left_out == ()
    assert "target 'shop' of resiliency 'res' uses retry 'often'" in caplog.text


def test_built_in_retries_can_be_replaced(tmp_path: Path) -> None:
    """A built-in policy that is replaced has at least three retries; one cannot be replaced."""
    text = """
  policies:
    retries:
      DaprBuiltInServiceRetries: {duration: 100ms}
      DaprBuiltInActorRetries: {maxRetries: 7}
      DaprBuiltInActorNotFoundRetries: {maxRetries: 9}
"""
    (one,) = policy_files(tmp_path, text).resiliencies
    assert one.retries == {
        "DaprBuiltInServiceRetries": RetrySpec(duration=0.1, max_retries=3),
        "DaprBuiltInActorRetries": RetrySpec(max_retries=7),
    }


def test_scopes(tmp_path: Path) -> None:
    """A document for other apps is not read."""
    (tmp_path / "r.yaml").write_text(
        "apiVersion: dapr.io/v1alpha1\nkind: Resiliency\nmetadata: {name: r}\nscopes: [other]\n",
        encoding="utf-8",
    )
    assert policy_files(tmp_path).resiliencies == ()
    assert len(policy_files(tmp_path, app_id="other").resiliencies) == 1


def test_only_the_first_document_of_a_file_counts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A real runtime would never see the others, so they have no effect here, which is said."""
    document = "apiVersion: dapr.io/v1alpha1\nkind: Resiliency\nmetadata: {name: %s}\nspec: {}\n"
    text = f"# first\n---\n{document % 'a'}---\n{document % 'b'}"
    (tmp_path / "r.yaml").write_text(text, encoding="utf-8")
    found = load_resources([tmp_path])
    assert [each.name for each in found.resiliencies] == ["a"]
    assert found.problems == ()
    assert "r.yaml:9: resiliency 'b' is not the first document of its file" in caplog.text
