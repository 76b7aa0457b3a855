"""An app's Configuration as values."""

from daprflow.handlers.declaring import Declaration
from daprflow.protocol.configuration_file import ConfigurationResource


def compiled(declaration: Declaration) -> tuple[ConfigurationResource | None, list[str]]:
    """Turn one declaration into a Configuration."""
    return ConfigurationResource(features=tuple(declaration.values["features"].items())), []
