"""Are the components there that the code uses, for this app, and as the code wants them?"""

from collections.abc import Iterator
from dataclasses import dataclass

from daprflow.manifests.compare_model import Code, Deployed, Found
from daprflow.manifests.compare_problem import Problem, listed, nearest, problem
from daprflow.manifests.network import may_differ
from daprflow.protocol.resources import ComponentResource
from daprflow.protocol.subscription_resource import SubscriptionResource
from daprflow.sidecar.blocks.pubsub_scopes import read_scopes

ACTORS = "actorStateStore"
BUILT_IN = "kubernetes"
"""The secret store that a cluster has without a component."""
_TRUTHS = frozenset({"y", "yes", "true", "t", "on", "1"})
_Component = Found[ComponentResource]


def component_problems(code: Code, deployed: Deployed) -> Iterator[Problem]:
    """Find components that are missing, hidden from the app, of another kind, or open to all."""
    named: dict[str, list[_Component]] = {}
    for found in deployed.components:
        named.setdefault(found.resource.name, []).append(found)
    for use in used_by(code):
        yield from _used(code, deployed, named, use)
    yield from _declared(code, deployed, named)
    yield from _schedules(code, named)
    yield from _actor_store(code, deployed)
    yield from _topics(code, named)
    yield from _scopes(deployed)
    yield from _stores(code, deployed)


@dataclass(frozen=True, slots=True)
class Use:
    """A component that some handler names: its building block, and who uses it, in words."""

    name: str
    block: str
    reason: str


def used_by(code: Code) -> tuple[Use, ...]:
    """Return the components that handlers name, each with the first one that does."""
    uses = [
        Use(each.pubsubname, "pubsub", f"the handler of topic '{each.topic}'")
        for each in code.facts.subscriptions
    ]
    for row in code.facts.handlers:
        reason = f"{row.kind} '{row.name}' ({row.source})"
        if row.kind in {"binding", "cron"}:
            uses.append(Use(row.name.strip("/"), "bindings", reason))
        if row.kind == "configuration":
            uses.append(Use(row.name.partition("/")[0], "configuration", reason))
        if once := row.options.get("once"):
            uses.append(Use(once, "state", reason))
    return tuple({use.name: use for use in reversed(uses)}.values())


def _used(
    code: Code, deployed: Deployed, named: dict[str, list[_Component]], use: Use
) -> Iterator[Problem]:
    every = named.get(use.name, [])
    seen = [each for each in every if code.sees(each.resource.scopes)]
    for each in seen:
        if each.resource.kind != use.block:
            kind = each.resource.type
            text = f"component '{use.name}' is {kind}, but {use.reason} wants {use.block}"
            yield problem("component-kind", each.place("spec", "type"), text, "correct one of them")
    if every and not seen:
        scopes = listed(every[0].resource.scopes)
        yield problem(
            "scopes",
            every[0].place("scopes"),
            f"{use.reason} uses component '{use.name}', which is for {scopes} alone",
            f"add '{code.app_id}' to its scopes",
        )
    if not every:
        near = nearest(use.name, sorted(named))
        text = f"{use.reason} uses component '{use.name}', which is not here{near}"
        yield problem("no-component", deployed.place, text, "add it, or correct the name")


def _declared(
    code: Code, deployed: Deployed, named: dict[str, list[_Component]]
) -> Iterator[Problem]:
    """Compare with the components that the code declares for the environment."""
    for wanted in code.facts.declarations.components:
        for found in named.get(wanted.name, []):
            has = found.resource
            elsewhere = deployed.workloads and not deployed.in_cluster
            if not code.sees(has.scopes) or not has.type or (elsewhere and may_differ(wanted)):
                continue
            if (has.type, has.version) != (wanted.type, wanted.version):
                yield problem(
                    "component-type",
                    found.place("spec", "type"),
                    f"component '{has.name}' is {has.type} {has.version}, but the code declares "
                    f"{wanted.type} {wanted.version} ({wanted.source})",
                    "write the manifests anew, or correct the code",
                )
                continue
            yield from _metadata(found, wanted)


def _metadata(found: _Component, wanted: ComponentResource) -> Iterator[Problem]:
    has = {item.name.lower(): item for item in found.resource.metadata}
    for item in wanted.metadata:
        other = has.get(item.name.lower())
        if other is None:
            what = f"lacks '{item.name}'"
        elif item.value is not None and other.value not in {None, item.value}:
            what = f"has another '{item.name}' than it"
        else:
            continue
        yield problem(
            "component-metadata",
            found.place("spec", "metadata"),
            f"the code declares component '{wanted.name}' ({wanted.source}), and this one {what}",
            "write the manifests anew, or correct the code",
        )


def _schedules(code: Code, named: dict[str, list[_Component]]) -> Iterator[Problem]:
    for cron in code.facts.crons:
        for found in named.get(cron.name, []):
            values = {item.name.lower(): item.value for item in found.resource.metadata}
            if found.resource.type == "bindings.cron" and values.get("schedule") != cron.schedule:
                yield problem(
                    "schedule",
                    found.place("spec", "metadata"),
                    f"component '{cron.name}' has the schedule '{values.get('schedule')}', but the "
                    f"code says '{cron.schedule}'",
                    "let them agree",
                )


def _actor_store(code: Code, deployed: Deployed) -> Iterator[Problem]:
    reason = "actors" if code.facts.actors else "workflows" if code.facts.works else ""
    if not reason:
        return
    stores = [
        each
        for each in deployed.components
        if each.resource.kind == "state" and code.sees(each.resource.scopes) and _is_marked(each)
    ]
    if not stores:
        states = [each for each in deployed.components if each.resource.kind == "state"]
        yield problem(
            "actor-store",
            states[0].place("spec", "metadata") if states else deployed.place,
            f"app '{code.app_id}' has {reason}, and no state store that it sees has '{ACTORS}' "
            "true",
            f"set '{ACTORS}' of one to \"true\"",
        )
    for extra in stores[1:]:
        yield problem(
            "actor-store",
            extra.place("spec", "metadata"),
            f"'{extra.resource.name}' has '{ACTORS}' true, as '{stores[0].resource.name}' has "
            f"({stores[0].place('kind')})",
            f"leave it to one of those that '{code.app_id}' sees",
        )


def _is_marked(found: _Component) -> bool:
    values = {item.name.lower(): item.value or "" for item in found.resource.metadata}
    return values.get(ACTORS.lower(), "").lower() in _TRUTHS


def _topics(code: Code, named: dict[str, list[_Component]]) -> Iterator[Problem]:
    """Find topics of the app that the scopes of its broker refuse."""
    for each in code.facts.subscriptions:
        for found in named.get(each.pubsubname, []):
            values = {item.name.lower(): item.value or "" for item in found.resource.metadata}
            scopes = read_scopes(values, code.app_id)
            place = found.place("spec", "metadata")
            if not scopes.may_subscribe(each.topic):
                text = f"'{each.pubsubname}' lets '{code.app_id}' not subscribe to '{each.topic}'"
                yield problem("topic-scope", place, text, "add it to 'subscriptionScopes'")
            dead = each.dead_letter_topic
            if dead and not scopes.may_publish(dead):
                text = (
                    f"'{each.pubsubname}' lets '{code.app_id}' not publish to '{dead}', the dead "
                    f"letter topic of '{each.topic}'"
                )
                yield problem("topic-scope", place, text, "add it to 'publishingScopes'")


def _scopes(deployed: Deployed) -> Iterator[Problem]:
    ids = deployed.app_ids()
    spaces = {each.app_id: each.namespace for each in deployed.workloads if each.namespace}
    scoped: tuple[_Component | Found[SubscriptionResource], ...] = (
        *deployed.components,
        *deployed.subscriptions,
    )
    for found in scoped:
        name, scopes = found.resource.name, found.resource.scopes
        kind = str(found.document.get("kind")).lower()
        if not scopes and deployed.in_cluster:
            text = f"{kind} '{name}' has no scopes: every app of the namespace has it"
            yield problem("unscoped", found.place("kind"), text, "list the app ids that use it")
        for scope in scopes:
            if scope not in ids and (near := nearest(scope, ids)):
                text = f"{kind} '{name}' is for '{scope}', and no app here is that{near}"
                yield problem("scopes", found.place("scopes"), text, "correct it")
            space = found.resource.namespace
            if space and spaces.get(scope, space) != space:
                text = f"{kind} '{name}' is in namespace '{space}', and '{scope}', which it is for,"
                text += f" in '{spaces[scope]}'"
                place = found.place("metadata", "namespace")
                yield problem("scopes", place, text, "put both into one")


def _stores(code: Code, deployed: Deployed) -> Iterator[Problem]:
    """Find secrets that are looked up in a store which is not there, or not for this app."""
    found_stores = [each for each in deployed.components if each.resource.kind == "secretstores"]
    stores = [each.resource.name for each in found_stores]
    hidden = {
        each.resource.name: each for each in found_stores if not code.sees(each.resource.scopes)
    }
    for found in deployed.components:
        refers = any(item.secret_key_ref is not None for item in found.resource.metadata)
        store = found.resource.secret_store
        if refers and store and store not in {*stores, BUILT_IN}:
            text = f"component '{found.resource.name}' has its secrets in '{store}', and there is "
            text += f"no such store here{nearest(store, stores)}"
            yield problem("no-component", found.place("auth"), text, "add it, or correct the name")
        if refers and store in hidden and code.sees(found.resource.scopes):
            text = f"component '{found.resource.name}' has its secrets in '{store}', which is for "
            text += f"{listed(hidden[store].resource.scopes)} alone: the sidecar of "
            text += f"'{code.app_id}' would not start"
            place = hidden[store].place("scopes")
            yield problem("scopes", place, text, f"add '{code.app_id}' to its scopes")
        if refers and not store and not deployed.in_cluster and deployed.workloads:
            text = f"component '{found.resource.name}' refers to a secret, and names no store"
            place = found.place("spec", "metadata")
            yield problem("no-component", place, text, "name it in 'auth.secretStore'")
