"""Resiliency policies as values, and the calls they are for."""

from daprflow.handlers.declaring import Declaration
from daprflow.protocol.resiliency import ResiliencyResource


def compiled(declaration: Declaration, app_id: str) -> tuple[ResiliencyResource | None, list[str]]:
    """Turn one declaration into a Resiliency."""
    return ResiliencyResource(declaration.values["name"] or f"{app_id}-resiliency"), []
