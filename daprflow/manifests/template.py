"""The apps of Dapr's template for several apps, as manifests take them from it."""

import os
from collections.abc import Iterator
from pathlib import Path

from daprflow.launcher.exits import Exit, LaunchError
from daprflow.launcher.fleet_plan import FleetApp
from daprflow.launcher.options import RunOptions, SidecarOptions
from daprflow.launcher.run_file import read_template
from daprflow.launcher.run_file_apps import plan_fleet
from daprflow.manifests.collect import Place
from daprflow.manifests.facts import Source


def places_of(
    named: str, base: Path, folders: tuple[Path, ...] = (), config: tuple[Path, ...] = ()
) -> tuple[Place, ...]:
    """Return the apps of a template: ids, targets, variables, resources and Configurations.

    Args:
        named: the template, or its folder.
        base: what that is relative to.
        folders: resource folders of every app, instead of those that it names.
        config: Configuration files of every app, instead of those that it names.

    Raises:
        LaunchError: it cannot be read, or has an app without a target, of which nothing is known.
    """
    plan = plan_fleet(
        read_template(named, base), RunOptions(base=base, sidecar=SidecarOptions()), os.environ
    )
    strangers = [app for app in plan.apps if app.options.target is None]
    if strangers:
        raise LaunchError(
            "\n".join(
                f"{app.place}: app '{app.app_id}' has no target of daprflow; name the others "
                "by TARGET, and deploy it by files of your own"
                for app in strangers
            ),
            Exit.FAILED,
        )
    return tuple(_places(plan.apps, folders, config))


def _places(
    apps: tuple[FleetApp, ...], folders: tuple[Path, ...], config: tuple[Path, ...]
) -> Iterator[Place]:
    for app in apps:
        options = app.options
        if options.target is None:  # pragma: no cover - refused before
            continue
        source = Source(options.target.text, options.base, options.variables, app.app_id)
        sidecar = options.sidecar
        yield Place(source, folders or sidecar.resources_path, config or sidecar.config)
