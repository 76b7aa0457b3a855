"""The target ``docker``: how images of the apps are built."""

from daprflow.manifests.images import dockerfile, dockerignore
from daprflow.manifests.model import AppModel, File, Model


def files(model: Model) -> tuple[File, ...]:
    """Return a Dockerfile for each app, and what is left out of all images."""
    every = (
        File(dockerfile_name(app, model), dockerfile(app), (app.app_id,)) for app in model.apps
    )
    return (*every, File(".dockerignore", dockerignore()))


def notes(_: Model) -> tuple[str, ...]:
    """Return nothing: what a cluster lacks does not concern images."""
    return ()


def dockerfile_name(app: AppModel, model: Model) -> str:
    """Return the name of an app's Dockerfile; one alone has the usual name."""
    return "Dockerfile" if len(model.apps) == 1 else f"Dockerfile.{app.app_id}"
