"""Where an event of a subscription goes: rules in CEL, then the default."""

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from daprflow.protocol.documents import Subscription
from daprflow.protocol.expressions import Expression, compile_expression


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A path and what leads to it; ``match`` None is always true."""

    path: str
    match: Expression | None


@dataclass(frozen=True, slots=True)
class RouteTable:
    """The rules of one subscription, in order.

    Attributes:
        only: the path of every event when no expression decides; None when one does.
    """

    rules: tuple[CompiledRule, ...]
    only: str | None

    def find(self, event: Mapping[str, Any], /) -> str | None:
        """Return the path for ``event`` (its numbers as floats), None when no rule matches.

        Raises:
            ExpressionError: a rule fails on this event.
        """
        for rule in self.rules:
            if rule.match is None or rule.match.matches(event):
                return rule.path
        return None


def compile_routes(subscription: Subscription, *, verbatim: bool = False) -> RouteTable:
    """Compile the rules of ``subscription``; the v2 default stands before the v1 route.

    Args:
        subscription: what an app, or a file, says.
        verbatim: whether paths stay as they are, and none at all is one that is empty; so it is
            with gRPC apps, whom a path tells something but leads nowhere.

    Raises:
        ExpressionError: a ``match`` is not CEL.
    """
    path_of = str if verbatim else clean_path
    rules: list[CompiledRule] = []
    default = subscription.route
    if subscription.routes is not None:
        for rule in subscription.routes.rules:
            match = compile_expression(rule.match) if rule.match.strip() else None
            rules.append(CompiledRule(path_of(rule.path), match))
        default = subscription.routes.default or default
    if default or (verbatim and not rules):
        rules.append(CompiledRule(path_of(default), None))
    only = rules[0].path if rules and rules[0].match is None else None
    return RouteTable(tuple(rules), only)


def clean_path(path: str) -> str:
    """Return ``path`` with a leading slash and without ``..`` and ``//``; the query stays."""
    route, question, query = path.partition("?")
    cleaned = posixpath.normpath("/" + route.lstrip("/"))
    if route.endswith("/") and cleaned != "/":
        cleaned += "/"
    return cleaned + question + query
