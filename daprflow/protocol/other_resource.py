"""A resource of a kind that is handed on as it is: a policy for workflows, a server of tools."""

from collections.abc import Mapping
from typing import Any

import msgspec

OTHER_KINDS = ("MCPServer", "WorkflowAccessPolicy")
"""What kinds there are."""


class OtherResource(msgspec.Struct, frozen=True):
    """One document.

    Attributes:
        version: its ``apiVersion``.
        spec: as it is written.
        scopes: the app ids it is for; empty means every app.
        source: ``file:line`` of the document.
    """

    kind: str
    name: str
    version: str
    spec: Mapping[str, Any]
    scopes: tuple[str, ...] = ()
    namespace: str = ""
    source: str = ""
