"""Dapr's components, resiliency policies and access policies as typed values."""

from typing import TYPE_CHECKING

from daprflow.late import late as _late

if TYPE_CHECKING:
    from daprflow.components.declarations import Declarations
    from daprflow.components.model import Component
    from daprflow.components.values import EnvRef, Plain, Secret, SecretRef, Text, env_ref, secret

__all__ = [
    "Component",
    "Declarations",
    "EnvRef",
    "Plain",
    "Secret",
    "SecretRef",
    "Text",
    "env_ref",
    "secret",
]

_HOME = "daprflow.components."
__getattr__ = _late(
    globals(),
    {
        "Component": f"{_HOME}model",
        "Declarations": f"{_HOME}declarations",
        **dict.fromkeys(
            ("EnvRef", "Plain", "Secret", "SecretRef", "Text", "env_ref", "secret"),
            f"{_HOME}values",
        ),
    },
)
