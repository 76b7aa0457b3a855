"""What of a template cannot be all at once, and what of it has no effect."""

from collections.abc import Iterator, Sequence

from daprflow.launcher.fleet_plan import FleetApp
from daprflow.launcher.run_file import Template

WITHOUT_EFFECT = {
    "apiListenAddresses": "the sidecar listens on 127.0.0.1 only",
    "enableProfiling": "there is no profiler",
    "profilePort": "there is no profiler",
    "daprInternalGRPCPort": "sidecars choose that port themselves, or need none",
    "unixDomainSocket": "the sidecar has ports only",
    "enableApiLogging": "a Configuration switches it on, with spec.logging.apiLogging.enabled",
    "containerImage": "it is for Kubernetes",
    "containerImagePullPolicy": "it is for Kubernetes",
    "createService": "it is for Kubernetes",
}
"""Fields that are taken as they are, and why nothing comes of them."""


LONGEST_ID = 128
"""Characters: an id stands in names of files and in addresses."""


def wrong_id(app_id: str) -> str:
    """Return why something is no app id; nothing where it is one."""
    if not app_id.isprintable():
        return f"{app_id!r} is no id: it has a character that cannot be printed"
    if "." in app_id or "/" in app_id:
        return f"'{app_id}' is no id: it has a dot or a slash"
    if len(app_id) > LONGEST_ID:
        return (
            f"'{app_id[:20]}…' is no id: it has {len(app_id)} characters, not at most {LONGEST_ID}"
        )
    return ""


def claimed_twice(apps: Sequence[FleetApp]) -> Iterator[str]:
    """Yield what two apps claim that only one can have."""
    ids: dict[str, FleetApp] = {}
    numbered = {name: app for app in apps if app.replicas > 1 for name in app.names()}
    ports: dict[int, tuple[FleetApp, str]] = {}
    for app in apps:
        first = ids.setdefault(app.app_id, app)
        if first is not app:
            yield (
                f"{app.place}: app '{app.app_id}' stands at {first.place} already; give this one "
                "another appID, or that one 'replicas' to run it several times"
            )
        if (other := numbered.get(app.app_id)) is not None:
            yield (
                f"{app.place}: '{app.app_id}' is the name of a replica of app '{other.app_id}' "
                f"({other.place}); give one of them another appID"
            )
        for name, port in app.ports():
            owner, field = ports.setdefault(port, (app, name))
            if (owner, field) != (app, name):
                yield (
                    f"{app.place}: {name} {port} of app '{app.app_id}' is {field} of app "
                    f"'{owner.app_id}' already ({owner.place})"
                )
        if app.replicas > 1 and (named := [name for name, _ in app.ports()]):
            yield (
                f"{app.place}: app '{app.app_id}' runs {app.replicas} times and cannot have one "
                f"{named[0]}; leave it out"
            )


def notes(template: Template) -> Iterator[str]:
    """Yield a line for each field that has no effect, with where it stands."""
    sections = (template.common, *template.apps)
    for field, reason in WITHOUT_EFFECT.items():
        places = [each.place(field) for each in sections if each.mapping.get(field)]
        if places:
            more = f" and {len(places) - 1} more" if len(places) > 1 else ""
            yield f"{places[0]}{more}: '{field}' has no effect here: {reason}"
