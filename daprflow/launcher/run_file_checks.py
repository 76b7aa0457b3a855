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


def claimed_twice(apps: Sequence[FleetApp]) -> Iterator[str]:
    """Yield what two apps claim that only one can have."""
    ids: dict[str, FleetApp] = {}
    ports: dict[int, tuple[FleetApp, str]] = {}
    for app in apps:
        first = ids.setdefault(app.app_id, app)
        if first is not app:
            yield (
                f"{app.place}: app '{app.app_id}' stands at {first.place} already; give this one "
                "another appID, or that one 'replicas' to run it several times"
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
