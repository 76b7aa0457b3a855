"""Do the policies exist that Resiliency documents name, and what they are for?"""

from collections.abc import Iterator, Mapping

from msgspec import structs

from daprflow.manifests.compare_model import Code, Deployed, Found
from daprflow.manifests.compare_problem import Problem, nearest, problem
from daprflow.protocol.resiliency import PolicyNames, ResiliencyResource
from daprflow.sidecar.resiliency.catalog import Catalog, merge

_Policies = Found[ResiliencyResource]


def resiliency_problems(code: Code, deployed: Deployed) -> Iterator[Problem]:
    """Find targets and policies that nothing here has; they would do nothing, without a word."""
    catalog = merge([each.resource for each in deployed.resiliencies])
    components = sorted({each.resource.name for each in deployed.components})
    ids = deployed.app_ids()
    alone = set(ids) <= {code.app_id}
    for found in deployed.resiliencies:
        resource = found.resource
        yield from _unknown(found, "components", resource.components, components)
        if ids:
            yield from _unknown(found, "apps", resource.apps, [*ids, code.app_id])
        if alone and code.sees(resource.scopes):
            yield from _unknown(found, "actors", resource.actors, list(code.facts.actors))
        for kind, name, names in _uses(resource):
            yield from _undefined(found, kind, name, names, catalog)
    yield from _missing(code, deployed)


def _unknown(
    found: _Policies, kind: str, targets: Mapping[str, object], known: list[str]
) -> Iterator[Problem]:
    for name in targets:
        if name not in known:
            yield problem(
                "resiliency-target",
                found.place("spec", "targets", kind, name),
                f"resiliency '{found.resource.name}' is for {kind[:-1]} '{name}', which is not "
                f"here{nearest(name, known)}",
                "correct the name, or take it out",
            )


def _uses(resource: ResiliencyResource) -> Iterator[tuple[str, str, PolicyNames]]:
    for name, app in resource.apps.items():
        yield "apps", name, app.policies
    for name, actor in resource.actors.items():
        yield "actors", name, actor.policies
    for name, component in resource.components.items():
        yield "components", name, component.inbound
        yield "components", name, component.outbound


def _undefined(
    found: _Policies, kind: str, name: str, names: PolicyNames, catalog: Catalog
) -> Iterator[Problem]:
    given: tuple[tuple[str, str, Mapping[str, object]], ...] = (
        ("timeout", names.timeout, catalog.timeouts),
        ("retry", names.retry, catalog.retries),
        ("circuit breaker", names.circuit_breaker, catalog.breakers),
    )
    for policy, used, known in given:
        if used and used not in known:
            yield problem(
                "resiliency-policy",
                found.place("spec", "targets", kind, name),
                f"target '{name}' of resiliency '{found.resource.name}' uses {policy} '{used}', "
                f"which no document defines{nearest(used, sorted(known))}",
                "define it, or take it out",
            )


def _missing(code: Code, deployed: Deployed) -> Iterator[Problem]:
    has = {each.resource.name: each for each in deployed.resiliencies}
    for wanted in code.facts.declarations.resiliencies:
        if wanted.name not in has:
            yield problem(
                "no-resiliency",
                deployed.place,
                f"the code declares resiliency '{wanted.name}' ({wanted.source}), which is not "
                "here",
                "write the manifests anew",
            )
        elif _said(has[wanted.name].resource) != _said(wanted):
            yield problem(
                "no-resiliency",
                has[wanted.name].place("spec"),
                f"resiliency '{wanted.name}' is not what the code declares ({wanted.source})",
                "write the manifests anew, or correct the code",
            )


def _said(resource: ResiliencyResource) -> ResiliencyResource:
    """Return what a document says, wherever it stands and whoever it is for."""
    return structs.replace(resource, source="", scopes=(), namespace="")
