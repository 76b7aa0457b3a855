"""Who may invoke an app, as values."""

from daprflow.handlers.declaring import Declaration
from daprflow.protocol.configuration_file import AccessControl


def compiled(declaration: Declaration, app_id: str) -> tuple[AccessControl | None, list[str]]:  # noqa: ARG001
    """Turn one declaration into an access control."""
    values = declaration.values
    return AccessControl(values["default"], values["trust_domain"]), []
