"""Names of objects in a cluster: refused where a cluster would refuse them, or a path be left."""

import re

from daprflow.launcher.exits import Exit, LaunchError
from daprflow.manifests.model import Model

_SUBDOMAIN = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")
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
    )
    problems = [
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
    if problems:
        raise LaunchError("\n".join(problems), Exit.FAILED)
