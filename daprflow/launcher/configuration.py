"""``--config FILE`` for the embedded sidecar: read at the start, and what it denies refused."""

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import msgspec

from daprflow.errors import MissingExtra
from daprflow.launcher.exits import Exit, LaunchError
from daprflow.protocol.configuration_file import ConfigurationResource
from daprflow.protocol.configuration_tree import configuration_spec
from daprflow.sidecar.components.base import ComponentError
from daprflow.sidecar.configuration_document import load_configuration
from daprflow.sidecar.resource_fields import DocumentError
from daprflow.sidecar.resources import Resources
from daprflow.sidecar.telemetry.regime import with_environment

logger = logging.getLogger(__name__)


def read_configuration(
    files: Sequence[Path], declared: ConfigurationResource | None = None
) -> ConfigurationResource:
    """Return what the code and the files say together; a file goes before the code.

    Raises:
        LaunchError: one cannot be read, or asks for protection that the embedded sidecar lacks.
    """
    try:
        spec = None if declared is None else configuration_spec(declared)
        configuration = load_configuration(files, os.environ, spec)
        tracing = with_environment(configuration.tracing, os.environ)
    except (DocumentError, ComponentError) as error:
        raise LaunchError(str(error), Exit.USAGE) from None
    if tracing != configuration.tracing and not _can_export():
        missing = MissingExtra("sending the sidecar's traces (OTEL_EXPORTER_OTLP_ENDPOINT)", "otel")
        logger.warning("%s", missing)
        return configuration
    return msgspec.structs.replace(configuration, tracing=tracing)


def _can_export() -> bool:
    """Tell whether the exporters are installed; a variable may be meant for others alone."""
    try:
        return find_spec("opentelemetry.exporter.otlp") is not None
    except ModuleNotFoundError:
        return False


def switched_on(
    configuration: ConfigurationResource, features: Sequence[str]
) -> ConfigurationResource:
    """Return a configuration with further features of the runtime switched on."""
    added = tuple((name, True) for name in features)
    return msgspec.structs.replace(configuration, features=(*configuration.features, *added))


def with_access(
    configuration: ConfigurationResource, other: ConfigurationResource
) -> ConfigurationResource:
    """Return a configuration with the access policy of another one."""
    return msgspec.structs.replace(configuration, access_control=other.access_control)


def with_configuration(resources: Resources, configuration: ConfigurationResource) -> Resources:
    """Return ``resources`` under a configuration; a component that it denies is a problem."""
    problems = (*resources.problems, *_denied(resources, configuration))
    return replace(resources, problems=problems, configuration=configuration)


def _denied(resources: Resources, configuration: ConfigurationResource) -> Iterator[str]:
    for component in resources.components:
        known = {component.type, f"{component.type}/{component.version}"}
        if not known.isdisjoint(configuration.denied_components):
            yield (
                f"{component.source}: component '{component.name}' has type '{component.type}', "
                "which the configuration denies (spec.components.deny)"
            )
