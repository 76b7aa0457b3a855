"""Who may do what, as a Configuration says: APIs by allow and deny list, invocation by caller."""

from dataclasses import dataclass

from daprflow.protocol.configuration_file import (
    AccessControl,
    AccessOperation,
    AccessPolicy,
    ApiRule,
    ConfigurationResource,
)

_VERSIONS = {
    "v1.0": "v1", "v1.0-alpha1": "v1alpha1", "v1.0-alpha2": "v1alpha2", "v1.0-beta1": "v1beta1",
}  # fmt: skip
_ALWAYS = "healthz"


@dataclass(frozen=True, slots=True)
class ApiAccess:
    """Which groups of the HTTP API there are; with an allow list nothing else is."""

    allowed: frozenset[tuple[str, str]]
    denied: frozenset[tuple[str, str]]

    def permits(self, version: str, group: str) -> bool:
        """Tell whether calls on ``/<version>/<group>`` are served."""
        if group == _ALWAYS:
            return True
        asked = _VERSIONS.get(version, version), group
        return asked not in self.denied and (not self.allowed or asked in self.allowed)


def api_access(configuration: ConfigurationResource) -> ApiAccess | None:
    """Return the lists that concern HTTP; None where there are none."""
    allowed, denied = configuration.api_allowed, configuration.api_denied
    access = ApiAccess(_of_http(allowed), _of_http(denied))
    return access if access.allowed or access.denied else None


def _of_http(rules: tuple[ApiRule, ...]) -> frozenset[tuple[str, str]]:
    return frozenset(
        (_VERSIONS.get(rule.version, rule.version), rule.name)
        for rule in rules
        if rule.protocol == "http"
    )


def may_invoke(
    control: AccessControl, caller: str, namespace: str, verb: str | None, path: str
) -> bool:
    """Tell whether ``caller`` may invoke ``verb path`` of the app that ``control`` protects.

    As the real runtime decides where it knows its callers: by the caller's policy and, in it, by
    the longest name that fits; else by the default of the policy, else of all.

    Args:
        control: the callee's.
        caller: an app id.
        namespace: the caller's.
        verb: upper-case; None of a gRPC method, for which no operation names one.
        path: without the query; of a gRPC method it counts as it is spelt.
    """
    default = control.default_action or ("deny" if control.policies else "allow")
    policy = _policy(control, caller, namespace)
    if policy is None:
        return default == "allow"
    if verb is None:
        operation = _operation(policy, "/" + path.lstrip("/"), spelt=True)
        action = "" if operation is None else operation.action
    else:
        operation = _operation(policy, "/" + path.lstrip("/").lower())
        action = "" if operation is None else _action(operation, verb)
    return (action or policy.default_action or default) == "allow"


def _policy(control: AccessControl, caller: str, namespace: str) -> AccessPolicy | None:
    for policy in control.policies:
        known = (policy.app_id, policy.namespace or namespace, policy.trust_domain)
        if known == (caller, namespace, control.trust_domain):
            return policy
    return None


def _operation(policy: AccessPolicy, path: str, *, spelt: bool = False) -> AccessOperation | None:
    names = ((each, each.name if spelt else each.name.lower()) for each in policy.operations)
    fitting = [each for each, name in names if _fits(name, path)]
    return max(fitting, key=lambda each: len(each.name.rstrip("*")), default=None)


def _fits(name: str, path: str) -> bool:
    parts, asked = name.strip("/").split("/"), path.strip("/").split("/")
    for position, part in enumerate(parts):
        if part == "**":
            return len(asked) > position
        if position >= len(asked) or part not in {"*", asked[position]}:
            return False
    return len(parts) == len(asked)


def _action(operation: AccessOperation, verb: str) -> str:
    return operation.action if verb in operation.verbs or "*" in operation.verbs else ""
