"""Ids that are the same on every replay."""

import uuid

_NAMESPACE = uuid.UUID("8f0f4f5d-0b1c-5a57-9e0f-5b1f0c2f3a11")


def execution_id(execution: str, number: int) -> str:
    """Return the id of a call's attempts: the same for all of them."""
    return str(uuid.uuid5(_NAMESPACE, f"{execution}:{number}"))


def own_uuid(execution: str, number: int) -> uuid.UUID:
    """Return the n-th id that a workflow makes."""
    return uuid.uuid5(_NAMESPACE, f"{execution}/uuid/{number}")
