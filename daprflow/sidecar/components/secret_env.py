"""``secretstores.local.env``: the sidecar's own environment variables as secrets."""

import os
from collections.abc import Mapping

from daprflow.sidecar.components.base import ComponentContext


class EnvironmentSecrets:
    """Reads the environment at each call; a missing variable is an empty secret."""

    capabilities: tuple[str, ...] = ()

    def __init__(self, context: ComponentContext) -> None:
        self._prefix = context.metadata.get("prefix", "")

    async def open(self) -> None:
        """Do nothing: the environment is there."""

    async def close(self) -> None:
        """Do nothing."""

    async def get(self, name: str, metadata: Mapping[str, str], /) -> dict[str, str]:  # noqa: ARG002 - this store has no request metadata
        """Return one variable; those that hold Dapr's own settings read as empty."""
        variable = self._prefix + name
        return {name: "" if _hidden(variable) else os.environ.get(variable, "")}

    async def bulk(self, metadata: Mapping[str, str], /) -> dict[str, dict[str, str]]:  # noqa: ARG002 - as above
        """Return every variable with the prefix, without it."""
        names = (
            (variable, variable.removeprefix(self._prefix))
            for variable in os.environ
            if variable.startswith(self._prefix) and not _hidden(variable)
        )
        return {name: {name: os.environ.get(variable, "")} for variable, name in names}


def _hidden(variable: str) -> bool:
    upper = variable.upper()
    return upper == "APP_API_TOKEN" or upper.startswith("DAPR_")
