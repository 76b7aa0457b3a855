"""Do Subscription documents lead to the handlers that the code has?"""

from collections.abc import Iterator, Mapping

from daprflow.manifests.compare_model import Code, Deployed, Found
from daprflow.manifests.compare_problem import Problem, listed, nearest, problem
from daprflow.protocol.documents import Subscription
from daprflow.protocol.subscription_resource import SubscriptionResource

RAW = "rawPayload"
_Deployed = Found[SubscriptionResource]


def topic_problems(code: Code, deployed: Deployed) -> Iterator[Problem]:
    """Find subscriptions that lead nowhere or elsewhere, and handlers that get nothing."""
    handled = {(each.pubsubname, each.topic): each for each in code.facts.subscriptions}
    others = len(deployed.app_ids()) > 1
    mine = [
        each
        for each in deployed.subscriptions
        if code.app_id in each.resource.scopes or (not each.resource.scopes and not others)
    ]
    for found in mine:
        document = found.resource.document
        own = handled.get((document.pubsubname, document.topic))
        if own is None:
            yield from _unhandled(code, found)
        else:
            yield from _routes(found, own)
            yield from _options(found, own)
    yield from _pubsubs(deployed)
    yield from _left_out(code, deployed, handled, mine)


def paths_of(document: Subscription) -> Mapping[str, str]:
    """Return the paths that events go to, each with its rule; the default has an empty one."""
    if document.routes is None:
        return {_path(document.route): ""}
    rules = {_path(rule.path): rule.match.strip() for rule in document.routes.rules}
    default = document.routes.default
    return {**rules, **({_path(default): ""} if default else {})}


def _unhandled(code: Code, found: _Deployed) -> Iterator[Problem]:
    """Find routes that no endpoint of the app takes, for a topic that has no handler of its own."""
    document = found.resource.document
    address = f"{document.pubsubname}/{document.topic}"
    known = [f"{each.pubsubname}/{each.topic}" for each in code.facts.subscriptions]
    wrong = [path for path in paths_of(document) if path not in code.posts]
    if not wrong or code.hosted:
        return
    yield problem(
        "unhandled-topic",
        found.place("spec", "topic"),
        f"subscription '{found.resource.name}' is to '{address}', which app '{code.app_id}' does "
        f"not handle{nearest(address, known)}; it has nothing at {listed(wrong)}",
        "correct it, write the handler, or take the subscription out",
    )


def _routes(found: _Deployed, own: Subscription) -> Iterator[Problem]:
    document = found.resource.document
    said, wanted = paths_of(document), paths_of(own)
    address = f"{document.pubsubname}/{document.topic}"
    key = "route" if document.routes is None else "routes"
    place = found.place("spec", key)
    wrong = [path for path in said if path not in wanted]
    for path in wrong:
        yield problem(
            "route",
            place,
            f"events of '{address}' go to '{path}', but the code handles them at "
            f"{listed(list(wanted))}",
            "write the code's path",
        )
    for path, match in wanted.items():
        rule = f"the rule '{match}'" if match else "a default"
        if path not in said and not wrong:
            text = f"subscription '{found.resource.name}' lacks {rule} to '{path}'"
            yield problem("route", place, text, "add it")
        elif said.get(path, match) != match:
            text = (
                f"events of '{address}' go to '{path}' by the rule '{said[path]}', but the code "
                f"says {rule}"
            )
            yield problem("route", place, text, "write the code's rule")


def _options(found: _Deployed, own: Subscription) -> Iterator[Problem]:
    document, name = found.resource.document, found.resource.name
    if document.dead_letter_topic != own.dead_letter_topic:
        yield problem(
            "dead-letter",
            found.place("spec", "deadLetterTopic"),
            f"subscription '{name}' has {_named(document.dead_letter_topic)}, the code "
            f"{_named(own.dead_letter_topic)}",
            "let them agree",
        )
    bulk = [
        each is not None and each.enabled for each in (document.bulk_subscribe, own.bulk_subscribe)
    ]
    if bulk[0] != bulk[1]:
        what = "one event at a time" if bulk[1] else "batches"
        wanted = "batches" if bulk[1] else "one event at a time"
        yield problem(
            "bulk",
            found.place("spec", "bulkSubscribe"),
            f"subscription '{name}' delivers {what}, but the handler takes {wanted}",
            f"set 'bulkSubscribe.enabled' to {str(bulk[1]).lower()}",
        )
    raw = [each.metadata.get(RAW, "false").lower() for each in (document, own)]
    if raw[0] != raw[1]:
        yield problem(
            "raw",
            found.place("spec", "metadata", RAW),
            f"subscription '{name}' has '{RAW}' {raw[0]}, the code {raw[1]}",
            "let them agree",
        )


def _pubsubs(deployed: Deployed) -> Iterator[Problem]:
    brokers = {each.resource.name for each in deployed.components if each.resource.kind == "pubsub"}
    for found in deployed.subscriptions:
        name = found.resource.document.pubsubname
        if name not in brokers:
            yield problem(
                "no-component",
                found.place("spec", "pubsubname"),
                f"subscription '{found.resource.name}' is to pub/sub '{name}', and no component "
                f"here is that{nearest(name, sorted(brokers))}",
                "correct the name, or add the component",
            )


def _left_out(
    code: Code,
    deployed: Deployed,
    handled: Mapping[tuple[str, str], Subscription],
    mine: list[_Deployed],
) -> Iterator[Problem]:
    """Find handlers without a document, where documents say what is subscribed to."""
    said = {(each.resource.document.pubsubname, each.resource.document.topic) for each in mine}
    silent = [
        each
        for each in deployed.workloads
        if each.app_id == code.app_id and "subscribe" in each.value("disable-init-endpoints")
    ]
    if not silent and not said & handled.keys():
        return
    for pubsub, topic in handled.keys() - said:
        place = silent[0].place_of("disable-init-endpoints") if silent else mine[0].place("kind")
        yield problem(
            "no-subscription",
            place,
            f"the code handles '{pubsub}/{topic}', and there is no Subscription to it beside those "
            "of the other topics",
            "add one",
        )


def _named(topic: str) -> str:
    return f"dead letter topic '{topic}'" if topic else "no dead letter topic"


def _path(path: str) -> str:
    return "/" + path.lstrip("/")
