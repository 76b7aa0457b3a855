"""Does an app's sidecar get the Configuration that the code declares?"""

from collections.abc import Iterator, Mapping
from typing import Any

from daprflow.manifests.compare_model import Code, Deployed, Workload
from daprflow.manifests.compare_problem import Problem, listed, nearest, problem
from daprflow.manifests.compare_workloads import below
from daprflow.sidecar.resource_fields import as_text
from daprflow.sidecar.resource_yaml import YamlMapping

RULE = "configuration"
_ANEW = "write the manifests anew, or correct the code"
_IN_ORDER = "handlers"
"""The key of the lists whose order counts."""


def configuration_problems(code: Code, deployed: Deployed) -> Iterator[Problem]:
    """Find names of Configurations that are not here, and what differs from the code."""
    own = [each for each in deployed.workloads if each.app_id == code.app_id and each.cluster]
    for workload in own:
        yield from _named(workload, code, deployed)
    names = {each.value("config") for each in own} if deployed.workloads else {code.app_id}
    for document in deployed.documents:
        if document.get("kind") == "Configuration" and _name(document) in names:
            yield from _differing(code, document)


def _named(workload: Workload, code: Code, deployed: Deployed) -> Iterator[Problem]:
    name, known = workload.value("config"), list(deployed.configurations)
    declared = listed(list(code.configuration)) if code.configuration else ""
    if declared and not name:
        yield problem(
            RULE,
            workload.place,
            f"{workload.title} has no configuration, but the code declares {declared}",
            "write the manifests anew, or name it in 'dapr.io/config'",
        )
    elif name not in known and (declared or (name and known)):
        yield problem(
            RULE,
            workload.place_of("config"),
            f"{workload.title} has configuration '{name}', which is not here"
            f"{nearest(name, known)}: its sidecar would not start",
            "correct the name, or add it",
        )


def _differing(code: Code, document: YamlMapping) -> Iterator[Problem]:
    spec = below(document, "spec")
    for section, wanted in code.configuration.items():
        found = None if spec is None else spec.get(section)
        if _plain(found) != _plain(wanted):
            place = spec.place(section) if spec is not None and section in spec else None
            yield problem(
                RULE,
                place or document.place("kind"),
                f"'{section}' of Configuration '{_name(document)}' is not what the code declares",
                _ANEW,
            )


def _name(document: YamlMapping) -> str:
    head = below(document, "metadata")
    return "" if head is None else as_text(head.get("name") or "")


def _plain(value: Any, *, ordered: bool = False) -> object:
    """Return a value as a comparison wants it: texts alone, nothing empty, lists in one order."""
    if isinstance(value, Mapping):
        parts = {key: _plain(each, ordered=key == _IN_ORDER) for key, each in value.items()}
        return {key: part for key, part in parts.items() if part not in ("", [], {})}
    if isinstance(value, list | tuple):
        found = [_plain(each) for each in value]
        return found if ordered else sorted(found, key=_sorted_by)
    return "" if value is None else as_text(value)


def _sorted_by(value: object) -> str:
    """Return what sorts values whose mappings have their keys in different orders."""
    return repr(sorted(value.items())) if isinstance(value, dict) else repr(value)
