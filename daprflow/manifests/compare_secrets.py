"""Secrets that stand in the files in plain text; no problem tells the value of one."""

from collections.abc import Iterator, Mapping

from daprflow.manifests.compare_model import Deployed, Found, Setting
from daprflow.manifests.compare_problem import Problem, problem
from daprflow.manifests.compare_workloads import TEMPLATES, below, entries, variables_of
from daprflow.manifests.secrets import holds_secret, plain_secrets
from daprflow.protocol.resources import ComponentResource
from daprflow.sidecar.resource_fields import as_text
from daprflow.sidecar.resource_yaml import YamlMapping

RULE = "plain-secret"
_TO_STORE = "put it into a secret store, and 'secretKeyRef' here"
_CONTAINERS = ("containers", "initContainers")


def secret_problems(deployed: Deployed) -> Iterator[Problem]:
    """Find secrets in components, endpoints, variables of containers, and Secret objects."""
    for found in deployed.components:
        yield from _in_component(found)
    for each in deployed.endpoints:
        for text in plain_secrets((), (each.resource,), ()):
            said = text.removeprefix(f"{each.resource.source}: ").partition("; ")[0]
            yield problem(RULE, each.place("spec"), said, _TO_STORE)
    for document in deployed.documents:
        yield from _in_secret(document)
        for variables in _variables(document):
            yield from _in_variables(variables)


def _in_component(found: Found[ComponentResource]) -> Iterator[Problem]:
    lines = {
        as_text(each.get("name")): each.place("value")
        for each in entries(below(found.document, "spec"), "metadata")
    }
    for item in found.resource.metadata:
        if holds_secret(item.name, item.value or ""):
            yield problem(
                RULE,
                lines.get(item.name, found.place()),
                f"'{item.name}' of component '{found.resource.name}' is a secret in plain text",
                _TO_STORE,
            )


def _in_secret(document: YamlMapping) -> Iterator[Problem]:
    if document.get("kind") != "Secret" or document.get("apiVersion") != "v1":
        return
    for key in ("data", "stringData"):
        values = below(document, key)
        for name, value in (values or {}).items():
            if values is not None and value:
                yield problem(
                    RULE,
                    values.place(name),
                    f"'{name}' of this Secret is in the file, for everybody who can read it",
                    "make the Secret where it is kept, and leave the file out",
                )


def _variables(document: YamlMapping) -> Iterator[Mapping[str, Setting]]:
    """Yield the variables of each container, service or app."""
    kind = str(document.get("kind"))
    if kind in TEMPLATES:
        pod = below(document, *TEMPLATES[kind], "spec")
        for key in _CONTAINERS:
            yield from (variables_of(each, "env") for each in entries(pod, key))
        return
    services = below(document, "services")
    for service in () if services is None else services.values():
        if isinstance(service, YamlMapping):
            yield variables_of(service, "environment")
    for app in entries(document, "apps"):
        yield variables_of(app, "env")


def _in_variables(variables: Mapping[str, Setting]) -> Iterator[Problem]:
    for name, found in variables.items():
        if holds_secret(name, found.value) and not found.value.startswith("$"):
            yield problem(
                RULE,
                found.place,
                f"variable '{name}' is a secret in plain text",
                "take it from a secret: 'valueFrom.secretKeyRef', or a variable of the shell",
            )
