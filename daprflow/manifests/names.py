"""Names of objects in a cluster: refused where a cluster would refuse them, or a path be left."""

import re

from daprflow.launcher.exits import Exit, LaunchError
from daprflow.manifests.model import Model

_SUBDOMAIN = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")
APP_ID = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
"""What is an app's id wherever it runs."""
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SPACE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_LABEL = re.compile(r"[a-z](?:[a-z0-9-]{0,56}[a-z0-9])?")


def refuse_names(model: Model) -> None:
    """Refuse names that no object of a cluster, and no file, can have.

    Raises:
        LaunchError: there are some; each is named.
    """
    every = (
        ("component", model.components),
        ("subscription", model.subscriptions),
        ("resiliency", model.resiliencies),
        ("endpoint", model.http_endpoints),
        ("resource", model.others),
    )
    problems = [
        f"{each.source}: scope {scope!r} of {kind} {each.name!r} is no app id"
        for kind, found in every
        for each in found
        for scope in each.scopes
        if not APP_ID.fullmatch(scope)
    ]
    problems += [
        f"{each.source}: {kind} {each.name!r} cannot be the name of an object in a cluster; it may "
        "have small letters, digits, '-' and '.' alone"
        for kind, found in every
        for each in found
        if not _SUBDOMAIN.fullmatch(each.name)
    ]
    if problems:
        raise LaunchError("\n".join(problems), Exit.FAILED)


def refuse_app_ids(model: Model) -> None:
    """Refuse app ids that a cluster cannot have as names, of a Service among others.

    Raises:
        LaunchError: there are some; each is named.
    """
    problems = [
        f"app id '{app.app_id}' cannot be the name of a Service: small letters, digits and '-', a "
        "letter first, 58 at most, because the sidecar's Service is called '<app id>-dapr'"
        for app in model.apps
        if not _LABEL.fullmatch(app.app_id)
    ]
    problems += [
        f"namespace {space!r} is none: small letters, digits and '-', 63 at most"
        for space in sorted({app.settings.namespace for app in model.apps} - {""})
        if not _SPACE.fullmatch(space)
    ]
    problems += [
        f"{name!r} of app '{app.app_id}' cannot be the name of a variable"
        for app in model.apps
        for name in app.settings.variables
        if not _VARIABLE.fullmatch(name)
    ]
    if problems:
        raise LaunchError("\n".join(problems), Exit.FAILED)
