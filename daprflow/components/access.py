"""Who may invoke an app, as values."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from daprflow.addresses import Endpoint, type_name
from daprflow.handlers.declaring import Action, Declaration
from daprflow.protocol.configuration_file import AccessControl, AccessOperation, AccessPolicy

_PARAMETER = re.compile(r"\{[^/{}]+\}")
ANY_VERB = ("*",)


@dataclass(frozen=True, slots=True)
class Operation:
    """A method of this app, by its path.

    Attributes:
        path: such as ``/orders/*``, where ``*`` is one part between slashes, and ``/admin/**``,
            where ``**`` is whatever follows.
        verbs: of HTTP; any where it is left out.

    Example:
        ```python
        app.access_policy(Caller("checkout", allow=[Operation("/orders", verbs=("GET",))]))
        ```
    """

    path: str
    verbs: tuple[str, ...] = ANY_VERB


Called = Endpoint[Any, Any] | Operation | str
"""What a policy is about: an endpoint of this app, an `Operation`, or a path alone."""


@dataclass(frozen=True, slots=True)
class Caller:
    """What one app may call.

    Attributes:
        app_id: whose policy it is.
        allow: what it may call.
        deny: what it may not.
        default: what goes for everything else; the opposite of what is listed where it is None,
            and ``allow`` where nothing is.
        namespace: of the caller; the one that this app is deployed in where it is left out.
        trust_domain: of the caller; that of the policy where it is left out.

    Example:
        ```python
        app.access_policy(Caller("checkout", allow=["/orders/*"]))
        ```
    """

    app_id: str
    allow: tuple[Called, ...] | list[Called] = ()
    deny: tuple[Called, ...] | list[Called] = ()
    default: Action | None = None
    namespace: str = ""
    trust_domain: str = ""


def compiled(declaration: Declaration, app_id: str) -> tuple[AccessControl | None, list[str]]:
    """Turn one declaration into an access control; None with what is wrong."""
    values = declaration.values
    problems = list(_mistakes(values, app_id))
    if problems:
        return None, [f"access policy ({declaration.source}): {each}" for each in problems]
    domain = values["trust_domain"]
    policies = tuple(_policy(each, domain) for each in values["callers"])
    return AccessControl(values["default"], domain, policies), []


def _mistakes(values: Any, app_id: str) -> Iterator[str]:
    seen: set[tuple[str, str]] = set()
    if values["default"] not in {"allow", "deny"}:
        yield f"'default' takes 'allow' or 'deny', not '{values['default']}'"
    for caller in values["callers"]:
        if not isinstance(caller, Caller):
            yield f"it takes callers, Caller(…), not a value of type '{type_name(type(caller))}'"
            continue
        if not caller.app_id:
            yield "a caller has no app id"
        if (caller.app_id, caller.namespace) in seen:
            yield f"caller '{caller.app_id}' is there twice; put its lists together"
        seen.add((caller.app_id, caller.namespace))
        if caller.default not in {None, "allow", "deny"}:
            yield f"caller '{caller.app_id}': 'default' takes 'allow' or 'deny'"
        yield from _wrong_calls(caller, app_id)


def _wrong_calls(caller: Caller, app_id: str) -> Iterator[str]:
    for each in (*caller.allow, *caller.deny):
        if isinstance(each, Endpoint):
            owner = each._app_id or app_id  # noqa: SLF001 - one of a router gets its id after this
            if owner != app_id:
                yield (
                    f"caller '{caller.app_id}': {each!r} is a method of app '{owner}', and a "
                    f"policy is about the methods of its own app, '{app_id}'"
                )
        elif not isinstance(each, Operation | str):
            kind = type_name(type(each))
            yield f"caller '{caller.app_id}': a value of type '{kind}' is nothing that is called"
    callables = (Endpoint, Operation, str)
    allowed = {_operation(each, "") for each in caller.allow if isinstance(each, callables)}
    denied = {_operation(each, "") for each in caller.deny if isinstance(each, callables)}
    for both in allowed & denied:
        yield f"caller '{caller.app_id}': '{both.name}' is both allowed and denied"


def _policy(caller: Caller, domain: str) -> AccessPolicy:
    allowed = tuple(_operation(each, "allow") for each in caller.allow)
    denied = tuple(_operation(each, "deny") for each in caller.deny)
    default = caller.default or ("deny" if allowed else "allow")
    return AccessPolicy(
        caller.app_id,
        caller.namespace,
        caller.trust_domain or domain,
        default,
        (*allowed, *denied),
    )


def _operation(called: Called, action: str) -> AccessOperation:
    match called:
        case Endpoint():
            path = _PARAMETER.sub("*", called.method)
            return AccessOperation(f"/{path.strip('/')}", action, (called.verb,))
        case Operation(path, verbs):
            return AccessOperation(path, action, tuple(each.upper() for each in verbs))
    return AccessOperation(called, action, ANY_VERB)
