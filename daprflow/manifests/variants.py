"""A deployment in each of its environments, for a target that tells how they differ."""

from dataclasses import replace

from daprflow.manifests.collect import Wanted, collect
from daprflow.manifests.model import Model
from daprflow.manifests.settings import ManifestSettings

ENVIRONMENTS = ("dev", "staging", "prod")
"""Those that there are in any case."""
TARGETS = frozenset({"helm"})
"""The targets that tell differences."""


def with_variants(model: Model, target: str, wanted: Wanted, settings: ManifestSettings) -> Model:
    """Return a model with its variants where a target tells of them.

    Raises:
        LaunchError: something is wrong in one of the environments; it is named.
    """
    if target not in TARGETS:
        return model
    names = dict.fromkeys((*ENVIRONMENTS, *settings.environments))
    variants = (
        model if name == wanted.env else collect(replace(wanted, env=name), settings)
        for name in names
    )
    return replace(model, variants=tuple(variants))
