"""What an app subscribes to: the handlers of each topic, agreed into one document."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from daprflow.handlers.registration import Registration, TopicOptions
from daprflow.protocol.documents import BulkSubscribe, Routes, Rule, Subscription

TOPICS = "/dapr/topics/"
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class TopicHandler:
    """One handler of a topic.

    Attributes:
        bulk: whether it takes batches; None where its signature could not be read.
    """

    registration: Registration
    options: TopicOptions
    bulk: bool | None

    @property
    def path(self) -> str:
        """The path in the subscription document, percent-encoded."""
        options = self.options
        names = [options.pubsub, options.topic]
        if options.match is not None:
            names.append(self.registration.name)
        return TOPICS + "/".join(quote(name, safe="") for name in names)


@dataclass(frozen=True, slots=True)
class TopicPlan:
    """Every handler of one topic with the options they agree on."""

    handlers: tuple[TopicHandler, ...]
    dead_letter: str
    raw: bool
    subscription: Subscription

    @property
    def address(self) -> str:
        """How messages call the topic."""
        return f"{self.subscription.pubsubname}/{self.subscription.topic}"

    @property
    def has_default(self) -> bool:
        """Whether an event that no rule matches has a handler."""
        return any(handler.options.match is None for handler in self.handlers)


def agree(handlers: Sequence[TopicHandler]) -> tuple[TopicPlan, list[str]]:
    """Merge the handlers of one topic and list where they contradict each other."""
    problems = [*_rule_problems(handlers), *_bulk_problems(handlers)]
    first = handlers[0].options

    def option(name: str) -> Any:
        value, problem = _agreed(handlers, name)
        if problem:
            problems.append(problem)
        return value

    dead_letter = option("dead_letter") or ""
    raw = bool(option("raw"))
    metadata = dict(option("metadata") or {})
    if raw:
        metadata["rawPayload"] = "true"
    most, wait = option("max_messages"), option("max_wait")
    subscription = Subscription(
        pubsubname=first.pubsub,
        topic=first.topic,
        dead_letter_topic=dead_letter,
        metadata=metadata,
        bulk_subscribe=_bulk(handlers, most, wait),
        **_routes(handlers),
    )
    return TopicPlan(tuple(handlers), dead_letter, raw, subscription), problems


def group(handlers: Sequence[TopicHandler]) -> list[list[TopicHandler]]:
    """Put the handlers of one topic together, in the order of declaration."""
    found: dict[tuple[str, str], list[TopicHandler]] = {}
    for handler in handlers:
        found.setdefault((handler.options.pubsub, handler.options.topic), []).append(handler)
    return list(found.values())


def _routes(handlers: Sequence[TopicHandler]) -> dict[str, Any]:
    """Return the v1 form for a single handler, else rules in order with the default last."""
    rules = tuple(
        Rule(path=each.path, match=each.options.match)
        for each in handlers
        if each.options.match is not None
    )
    default = next((each.path for each in handlers if each.options.match is None), "")
    return {"routes": Routes(rules, default)} if rules else {"route": default}


def _bulk(
    handlers: Sequence[TopicHandler], most: int | None, wait: timedelta | None
) -> BulkSubscribe | None:
    if not any(handler.bulk for handler in handlers):
        return None
    return BulkSubscribe(
        enabled=True,
        max_messages_count=most,
        max_await_duration_ms=None if wait is None else wait // _MILLISECOND,
    )


def _agreed(handlers: Sequence[TopicHandler], name: str) -> tuple[Any, str]:
    """Return an option's value, and what is wrong when two handlers set it differently."""
    said = [each for each in handlers if getattr(each.options, name) is not None]
    if not said:
        return None, ""
    value = getattr(said[0].options, name)
    for other in said[1:]:
        if getattr(other.options, name) != value:
            return value, (
                f"{other.registration.title} sets {name}={getattr(other.options, name)!r}, but "
                f"{said[0].registration.title} sets {name}={value!r}; it belongs to the topic: "
                "say it once"
            )
    return value, ""


def _rule_problems(handlers: Sequence[TopicHandler]) -> list[str]:
    defaults = [each for each in handlers if each.options.match is None]
    problems = [
        f"{other.registration.title} handles topic '{_address(other)}' without 'match', and so "
        f"does {defaults[0].registration.title}; give one of them a 'match'"
        for other in defaults[1:]
    ]
    seen: dict[str, TopicHandler] = {}
    for each in handlers:
        match = each.options.match
        if match is None:
            continue
        problems += _match_problems(each, match)
        if match in seen:
            problems.append(
                f"{each.registration.title} can never run: {seen[match].registration.title} "
                "has the same 'match' and comes first"
            )
        seen.setdefault(match, each)
    return problems or _unreachable(handlers)


def _unreachable(handlers: Sequence[TopicHandler]) -> list[str]:
    """Report what stands behind a rule that is always true."""
    ruled = [each for each in handlers if each.options.match is not None]
    always = next((each for each in ruled if (each.options.match or "").strip() == "true"), None)
    if always is None:
        return []
    behind = [*ruled[ruled.index(always) + 1 :], *(each for each in handlers if each not in ruled)]
    return [
        f"{each.registration.title} can never run: {always.registration.title} matches every "
        "event; leave its 'match' out"
        for each in behind
    ]


def _match_problems(handler: TopicHandler, match: str) -> list[str]:
    if not match.strip():
        return [f"{handler.registration.title} has an empty 'match'; leave it out instead"]
    problem = _cel_problem(match)
    return [f"{handler.registration.title} has a bad 'match': {problem}"] if problem else []


def _bulk_problems(handlers: Sequence[TopicHandler]) -> list[str]:
    batches = [each for each in handlers if each.bulk]
    singles = [each for each in handlers if each.bulk is False]
    problems = []
    if batches and singles:
        problems.append(
            f"{batches[0].registration.title} takes a Batch of topic '{_address(batches[0])}', "
            f"but {singles[0].registration.title} takes single events; "
            "a topic is delivered either way, not both"
        )
    if not batches:
        problems += [
            f"{each.registration.title} sets 'max_messages' or 'max_wait', "
            "which need a payload of type Batch[...]"
            for each in singles
            if (each.options.max_messages, each.options.max_wait) != (None, None)
        ]
    return problems


def _address(handler: TopicHandler) -> str:
    return f"{handler.options.pubsub}/{handler.options.topic}"


def _cel_problem(match: str) -> str:
    """Return what is wrong with a rule; the runtime refuses every subscription for one bad rule."""
    from daprflow.protocol.expressions import (  # noqa: PLC0415 - CEL is loaded for rules alone
        ExpressionError,
        compile_expression,
    )

    try:
        compile_expression(match)
    except ExpressionError as error:
        return str(error)
    return ""
