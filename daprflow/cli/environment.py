"""``--env``: the environment whose declared components a command is about."""

from typing import Annotated

from daprflow.cli.flags import flag
from daprflow.components.declarations import RUN_ENV

EnvOption = Annotated[
    str, flag("env", "The environment whose components, declared in code, count.")
]

__all__ = ["RUN_ENV", "EnvOption"]
